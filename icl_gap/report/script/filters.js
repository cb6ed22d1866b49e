// --- filters ------------------------------------------------------------------------------------

const SELECTS = {
  model: "label", benchmark: "benchmark", queries: "query_split", condition: "condition",
  shots: "shots", seed: "seed",
};
const FIELDS = [...Object.keys(SELECTS), "outcome", "from", "to", "text"];
const RIGHT = 1; // the outcome of a right response
/** Outcomes of a row beside that of its twin: a label, and a test of both for a row listed. */
const CONDITIONS = {
  "id-only": ["right under ID, wrong under OOD", (id, ood) => id === 1 && ood === 0],
  "ood-only": ["wrong under ID, right under OOD", (id, ood) => id === 0 && ood === 1],
};
const CHANGES = {
  better: ["became right", (first, second) => first !== RIGHT && second === RIGHT],
  worse: ["became wrong", (first, second) => first === RIGHT && second !== RIGHT],
};
const field = (name) => byId(`filter-${name}`);

function fillFilters() {
  const listed = report.cells.filter((cell) => cell.listed);
  for (const [name, key] of Object.entries(SELECTS)) {
    const values = [...new Set(listed.map((cell) => String(cell[key])))];
    if (name === "shots" || name === "seed") values.sort((a, b) => a - b);
    fillSelect(name, values.map((value) => [value, name === "condition" ? value.toUpperCase() : value]));
  }
  fillSelect("outcome", outcomeOptions());
}

/** The options of the filter of outcomes: where two results are compared, changes alone. */
function outcomeOptions() {
  const pairs = Object.entries(paired()).map(([value, [label]]) => [value, label]);
  if (report.runs) return pairs;
  const used = new Set(report.outcome);
  const [wrong, right, ...others] = report.outcomes.map((name, n) => [`${n}`, name]);
  const single = [right, wrong, ...others.filter(([n]) => used.has(Number(n)))];
  return report.cells.some((cell) => cell.twin !== null) ? [...single, ...pairs] : single;
}

const paired = () => (report.runs ? CHANGES : CONDITIONS);

function fillSelect(name, options) {
  const made = options.map(([value, label]) => make("option", { value }, label));
  field(name).replaceChildren(make("option", { value: "" }, "all"), ...made);
}

/** A test of whether the outcome of a row passes the filter. */
function outcomeTest(value) {
  if (value === "") return () => true;
  const pair = paired()[value];
  if (!pair) return (row) => report.outcome[row] === Number(value);
  return (row) => {
    const twin = report.twin[row];
    if (twin < 0) return false;
    const isFirst = !report.runs && report.cells[report.cellOf[row]].condition === "id";
    const [first, second] = isFirst ? [row, twin] : [twin, row];
    return pair[1](report.outcome[first], report.outcome[second]);
  };
}

function passing() {
  const wanted = Object.entries(SELECTS).filter(([name]) => field(name).value !== "");
  const passes = report.cells.map((cell) => cell.listed &&
    wanted.every(([name, key]) => String(cell[key]) === field(name).value));
  const test = outcomeTest(field("outcome").value);
  const [from, to] = [field("from").value, field("to").value];
  const ranged = from !== "" || to !== "";
  const [low, high] = [from === "" ? 1 : Number(from), to === "" ? Infinity : Number(to)];
  const { cellOf, divergence, query } = report;
  const found = new Uint32Array(query.length);
  let n = 0;
  for (let row = 0; row < query.length; row++) {
    if (!passes[cellOf[row]] || !test(row)) continue;
    if (ranged && (divergence[row] + 1 < low || divergence[row] + 1 > high)) continue;
    if (state.matches && !state.matches[query[row]]) continue;
    found[n++] = row;
  }
  return found.slice(0, n);
}

/** Find the queries that hold all words in source or gold target, or whose id is the word. */
async function search(words) {
  if (!words.length) return null;
  const matches = new Uint8Array(report.position.length);
  const queries = new Uint8Array(report.position.length);
  for (const example of report.query) queries[example] = 1;
  const byBlock = new Set();
  for (let e = 0; e < queries.length; e++) {
    if (queries[e]) byBlock.add(Math.floor(report.position[e] / report.textsInBlock));
  }
  await Promise.all([...byBlock].map(textBlock));
  for (let e = 0; e < queries.length; e++) {
    if (!queries[e]) continue;
    const [id, source, target] = await text(e);
    const all = `${source ?? ""}\n${target ?? ""}`.toLowerCase();
    matches[e] = Number(words.every((word) => all.includes(word) || id.toLowerCase() === word));
  }
  return matches;
}

async function filter({ keepPlace = false } = {}) {
  const run = ++state.filterRun;
  const words = field("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = await search(words);
  if (run !== state.filterRun) return; // a later filter overtook this one
  state.matches = matches;
  state.shown = passing();
  const [n, all] = [state.shown.length, report.listed].map((k) => k.toLocaleString("en"));
  byId("count").textContent = n === all ? `${all} requests` : `${n} of ${all} requests`;
  if (!keepPlace) {
    state.chosen = 0;
    byId("list").scrollTop = 0;
  }
  byId("sizer").style.height = `${Math.min(state.shown.length * ROW, TALLEST)}px`;
  draw();
  remember();
}
