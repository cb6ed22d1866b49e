"use strict";
// Reads the blocks of the page and shows the requests in them. Text from data and models enters the
// page as text nodes only: nothing here parses HTML.

const ROW = 34; // the height of a row in pixels, as in the style
const TALLEST = 12e6; // pixels; browsers cannot scroll over much taller elements
const LONGEST = 20000; // characters shown of a text before a button shows the rest
const LARGEST = 1e6; // pairs of tokens beyond which a difference is not aligned

const byId = (id) => document.getElementById(id);

function make(tag, options = {}, ...children) {
  const { cls, on, ...attributes } = options;
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const [name, act] of Object.entries(on ?? {})) made.addEventListener(name, act);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// --- blocks -----------------------------------------------------------------------------------

async function unpack(number) {
  const text = atob(byId(`block-${number}`).textContent);
  const packed = Uint8Array.from(text, (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const cache = new Map();

function cached(key, load) {
  if (!cache.has(key)) cache.set(key, load());
  return cache.get(key);
}

// Blocks stay in memory: a reader goes back and forth between neighbours.
const json = (number) =>
  cached(number, async () => JSON.parse(new TextDecoder().decode(await unpack(number))));
const numbers = (number) => cached(`n${number}`, async () => new Uint32Array(await unpack(number)));

// --- the report -------------------------------------------------------------------------------

const report = {}; // filled in by `load`
const state = { shown: new Uint32Array(0), chosen: 0, matches: null, opened: null, filterRun: 0 };

async function load() {
  const about = await json(Number(byId("blocks").dataset.start));
  const [query, outcome, divergence, position] = await Promise.all([
    ...about.columns.map(unpack), unpack(about.positions),
  ]);
  Object.assign(report, about, {
    query: new Uint32Array(query), outcome: new Uint8Array(outcome),
    divergence: new Int32Array(divergence), position: new Uint32Array(position), loaded: [],
  });
  report.cellOf = new Uint32Array(report.query.length);
  let start = 0;
  report.cells.forEach((cell, n) => {
    cell.start = start;
    cell.benchmark = `${cell.dataset}/${cell.split}`;
    cell.label = cell.trained ? cell.model : `${cell.model} (untrained)`;
    start += cell.rows;
    report.cellOf.fill(n, cell.start, start);
  });
  report.twin = twins();
}

/** The row of the same query under the other condition, for each row; -1 where there is none. */
function twins() {
  const found = new Int32Array(report.query.length).fill(-1);
  for (const cell of report.cells) {
    if (cell.twin === null) continue;
    const other = report.cells[cell.twin];
    const at = new Map();
    for (let n = 0; n < other.rows; n++) at.set(report.query[other.start + n], other.start + n);
    for (let n = cell.start; n < cell.start + cell.rows; n++) {
      found[n] = at.get(report.query[n]) ?? -1;
    }
  }
  return found;
}

/** A block of texts, which stays at hand for the list to draw from. */
async function textBlock(n) {
  report.loaded[n] ??= await json(report.texts[n]);
  return report.loaded[n];
}

/** [id, source, target] of an example; null while its block is not here, which is then fetched. */
function textNow(example, whenHere) {
  const place = report.position[example];
  const n = Math.floor(place / report.textsInBlock);
  if (report.loaded[n]) return report.loaded[n][place % report.textsInBlock];
  textBlock(n).then(whenHere);
  return null;
}

async function text(example) {
  const place = report.position[example];
  const block = await textBlock(Math.floor(place / report.textsInBlock));
  return block[place % report.textsInBlock];
}

/** All data of a request. */
async function request(row) {
  const cell = report.cells[report.cellOf[row]];
  const at = row - cell.start;
  const n = at % report.rowsInBlock;
  const [lists, shared, response] = cell.blocks[Math.floor(at / report.rowsInBlock)];
  const [flat, prompts, responses] = await Promise.all([numbers(lists), json(shared), json(response)]);
  const record = {};
  report.shared.forEach((name, i) => { record[name] = prompts[n][i]; });
  report.response.forEach((name, i) => { record[name] = responses[n][i]; });
  if (record.divergence) {
    const [position, expected, actual, before] = record.divergence;
    record.divergence = { position, expected, actual, text: before };
  }
  let from = prompts.length;
  for (let i = 0; i < n; i++) from += flat[i];
  const exemplars = await Promise.all([...flat.subarray(from, from + flat[n])].map(text));
  return { row, cell, record, exemplars, query: await text(report.query[row]) };
}

// --- filters ----------------------------------------------------------------------------------

const SELECTS = {
  model: "label", benchmark: "benchmark", queries: "query_split", condition: "condition",
  shots: "shots", seed: "seed",
};
const FIELDS = [...Object.keys(SELECTS), "outcome", "from", "to", "text"];
const PAIRED = { "id-only": ["id", 1, 0], "ood-only": ["ood", 1, 0] };
const field = (name) => byId(`filter-${name}`);

function fillFilters() {
  for (const [name, key] of Object.entries(SELECTS)) {
    const values = [...new Set(report.cells.map((cell) => String(cell[key])))];
    if (name === "shots" || name === "seed") values.sort((a, b) => a - b);
    fillSelect(name, values.map((value) => [value, name === "condition" ? value.toUpperCase() : value]));
  }
  const others = report.outcomes.map((name, n) => [`${n}`, name]);
  const used = new Set(report.outcome);
  const outcomes = [others[1], others[0], ...others.slice(2).filter(([n]) => used.has(Number(n)))];
  const pairs = [["id-only", "right under ID, wrong under OOD"], ["ood-only", "wrong under ID, right under OOD"]];
  fillSelect("outcome", report.cells.some((cell) => cell.twin !== null) ? [...outcomes, ...pairs] : outcomes);
}

function fillSelect(name, options) {
  const made = options.map(([value, label]) => make("option", { value }, label));
  field(name).replaceChildren(make("option", { value: "" }, "all"), ...made);
}

/** A test of whether the outcome of a row passes the filter. */
function outcomeTest(value) {
  if (value === "") return () => true;
  if (!(value in PAIRED)) return (row) => report.outcome[row] === Number(value);
  const [better, mine, theirs] = PAIRED[value];
  return (row) => {
    const twin = report.twin[row];
    if (twin < 0) return false;
    const isId = report.cells[report.cellOf[row]].condition === "id";
    const isBetter = isId === (better === "id");
    return report.outcome[row] === (isBetter ? mine : theirs)
      && report.outcome[twin] === (isBetter ? theirs : mine);
  };
}

function passing() {
  const wanted = Object.entries(SELECTS).filter(([name]) => field(name).value !== "");
  const passes = report.cells.map((cell) =>
    wanted.every(([name, key]) => String(cell[key]) === field(name).value));
  const test = outcomeTest(field("outcome").value);
  const [from, to] = [field("from").value, field("to").value];
  const ranged = from !== "" || to !== "";
  const [low, high] = [from === "" ? 0 : Number(from), to === "" ? Infinity : Number(to)];
  const { cellOf, divergence, query } = report;
  const found = new Uint32Array(query.length);
  let n = 0;
  for (let row = 0; row < query.length; row++) {
    if (!passes[cellOf[row]] || !test(row)) continue;
    if (ranged && (divergence[row] < low || divergence[row] > high)) continue;
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
  const [n, all] = [state.shown.length, report.query.length].map((k) => k.toLocaleString("en"));
  byId("count").textContent = n === all ? `${all} requests` : `${n} of ${all} requests`;
  if (!keepPlace) {
    state.chosen = 0;
    byId("list").scrollTop = 0;
  }
  byId("sizer").style.height = `${Math.min(state.shown.length * ROW, TALLEST)}px`;
  draw();
  remember();
}

// --- the list ---------------------------------------------------------------------------------

/** The first row in view, which may be half hidden; beyond `TALLEST` scrolling is scaled. */
function firstInView() {
  const list = byId("list");
  const [height, n] = [list.clientHeight, state.shown.length];
  if (n * ROW <= TALLEST) return list.scrollTop / ROW;
  return (list.scrollTop / (TALLEST - height)) * (n - height / ROW);
}

function scrollToRow(first) {
  const list = byId("list");
  const [height, n] = [list.clientHeight, state.shown.length];
  list.scrollTop = n * ROW <= TALLEST ? first * ROW
    : (first / (n - height / ROW)) * (TALLEST - height);
}

let waiting = false;

function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    drawRows();
  });
}

function drawRows() {
  const list = byId("list");
  const first = firstInView();
  const from = Math.max(0, Math.floor(first) - 4);
  const to = Math.min(state.shown.length, Math.ceil(first + list.clientHeight / ROW) + 4);
  const rows = [];
  for (let n = from; n < to; n++) rows.push(drawRow(n, list.scrollTop + (n - first) * ROW));
  byId("rows").replaceChildren(...rows);
  const here = state.chosen >= from && state.chosen < to;
  if (here) list.setAttribute("aria-activedescendant", `row-${state.chosen}`);
  else list.removeAttribute("aria-activedescendant");
}

function drawRow(n, top) {
  const row = state.shown[n];
  const cell = report.cells[report.cellOf[row]];
  const example = textNow(report.query[row], draw);
  const at = report.divergence[row];
  const cells = [
    ["outcome", outcomeText(row)], ["model", cell.label], ["benchmark", cell.benchmark],
    ["queries", cell.query_split], ["condition", cell.condition.toUpperCase()],
    ["shots", `${cell.shots}`], ["seed", `${cell.seed}`], ["at", at < 0 ? "–" : `at ${at}`],
    ["query", example ? visible((example[1] ?? example[0]).slice(0, 300)) : "…"],
  ];
  const made = make("div", {
    cls: "row", role: "option", id: `row-${n}`, "aria-selected": String(n === state.chosen),
    "aria-setsize": state.shown.length, "aria-posinset": n + 1,
    on: { click: () => { choose(n); open(); } },
  });
  made.style.top = `${top}px`;
  for (const [cls, value] of cells) {
    const tone = cls === "outcome" ? ` ${outcomeClass(row)}` : "";
    made.append(make("span", { cls: cls + tone }, value), " ");
  }
  return made;
}

function outcomeClass(row) {
  return ["wrong", "right"][report.outcome[row]] ?? "";
}

function outcomeText(row) {
  const sign = { wrong: "✗ ", right: "✓ " }[outcomeClass(row)] ?? "";
  return sign + report.outcomes[report.outcome[row]];
}

function choose(n) {
  if (!state.shown.length) return;
  state.chosen = Math.min(Math.max(n, 0), state.shown.length - 1);
  const [first, height] = [firstInView(), byId("list").clientHeight / ROW];
  if (state.chosen < first) scrollToRow(state.chosen);
  else if (state.chosen + 1 > first + height) scrollToRow(state.chosen + 1 - height);
  draw();
}

// --- a request --------------------------------------------------------------------------------

async function open() {
  const row = state.shown[state.chosen];
  if (row === undefined) return;
  state.opened = row;
  const twin = report.twin[row];
  const rows = twin < 0 ? [row] : [row, twin];
  const found = await Promise.all(rows.map(request));
  if (state.opened !== row) return;
  found.sort((a, b) => a.cell.condition.localeCompare(b.cell.condition));
  const dialog = byId("request");
  dialog.replaceChildren(bar(found[0]), make("div", { cls: "body" },
    queryAndGold(found[0]),
    make("div", { cls: "sides" }, ...found.map((one) => side(one, one.row === row))),
    twin < 0 ? make("p", { cls: "note" }, "There is no request for this query under the other condition.") : null));
  if (!dialog.open) dialog.showModal();
  dialog.focus();
  dialog.scrollTop = 0;
  remember();
}

async function step(by) {
  choose(state.chosen + by);
  await open();
}

function bar({ cell, query }) {
  const where = `${cell.label}, ${cell.benchmark}, ${cell.query_split} queries, `
    + `${cell.shots} ${cell.shots === 1 ? "shot" : "shots"}, seed ${cell.seed}`;
  const button = (label, act, off = false) => {
    const made = make("button", { type: "button", on: { click: act } }, label);
    made.disabled = off;
    return made;
  };
  return make("div", { cls: "bar" },
    make("h2", { id: "request-title" }, visible(query[0]), make("span", { cls: "note" }, ` ${visible(where)}`)),
    button("↑ Previous (k)", () => step(-1), state.chosen === 0),
    button("↓ Next (j)", () => step(1), state.chosen + 1 >= state.shown.length),
    button("Close (Esc)", () => byId("request").close()));
}

/** The query and its gold target, once for both conditions. */
function queryAndGold({ query, cell }) {
  if (query[1] === null) {
    return make("p", { cls: "warning" }, `The texts of ${cell.benchmark} are not in this page: `
      + "only ids and responses are shown. The note above the filters says what to do.");
  }
  return make("div", {},
    make("h3", {}, "Query"), long(query[1], "text"),
    make("h3", {}, "Gold target"), long(query[2], "text"));
}

function side(one, opened) {
  const { cell, row } = one;
  const other = cell.query_split === "train" ? "test" : "train";
  const pool = cell.condition === "id" ? `the query’s own split, ${cell.query_split}` : `the other split, ${other}`;
  const made = make("section", {
    cls: `side ${opened ? "opened" : ""}`, "data-condition": cell.condition,
    "aria-label": cell.condition.toUpperCase(),
  });
  made.append(
    make("h3", {}, `${cell.condition.toUpperCase()}: exemplars from ${pool} `,
      make("span", { cls: `badge ${outcomeClass(row)}` }, outcomeText(row))),
    facts(one),
    make("h3", {}, `${one.record.chat ? "Extracted answer" : "Response"}, compared with the gold target`),
    ...answered(one), ...wholeResponse(one),
    make("h3", {}, "Coverage"), coverage(one),
    make("h3", {}, "Prompt"), ...prompt(one), stored(one));
  return made;
}

function facts({ record, exemplars }) {
  const likely = record.gold_logprob === null ? null : `${record.gold_logprob} nats per token`;
  const shown = [
    ["Exemplars", exemplars.length], ["Coverage", Number(record.coverage).toFixed(3)],
    ["Prompt tokens", record.prompt_tokens], ["First divergence", record.divergence?.position],
    ["Ended by", record.finish_reason], ["Gold log-likelihood", likely],
    [capitalized(report.metrics.join(" / ")) + (record.chat ? ", extracted answer" : ""),
      report.metrics.map((metric) => yes(record.scores[metric])).join(" / ")],
    record.chat ? [`${capitalized(report.metrics.join(" / "))}, whole response`,
      report.metrics.map((metric) => yes(record.chat[`strict_${metric}`])).join(" / ")] : ["", null],
    ["Reason", record.reason], ["Tokens counted by the server", counted(record.usage)],
  ].filter(([, value]) => value !== null && value !== undefined);
  return make("dl", { cls: "facts" }, ...shown.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, visible(String(value))))));
}

/** The tokens of a request as its server counts them; null where none did. */
function counted(usage) {
  if (!usage) return null;
  const shown = (n) => n.toLocaleString("en");
  const thought = usage.reasoning_tokens ? `, ${shown(usage.reasoning_tokens)} of these for thinking` : "";
  return `${shown(usage.prompt_tokens)} read, ${shown(usage.completion_tokens)} written${thought}`;
}

const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const yes = (value) => (value === undefined || value === null ? "not known" : value ? "right" : "wrong");

/** The response and the gold target, with differences marked by more than colour. */
function answered({ record, query }) {
  if (record.status !== "scored") {
    const why = {
      skipped: "The prompt did not fit the model’s context, so it was left out under both conditions.",
      failed: `There is no response, so the query was left out under both conditions: ${visible(record.reason ?? "")}`,
    };
    return [make("p", { cls: "note" }, why[record.status] ?? `There is no score: ${visible(record.status)}.`)];
  }
  if (record.prediction === null) {
    return record.chat ? [make("p", { cls: "note" }, WITHOUT_ANSWER[record.reason] ?? "There is no answer.")]
      : cutShort(record, query[2]);
  }
  const parts = [];
  const predicted = record.prediction.trim(); // exact match, too, leaves out white space around it
  if (query[2] === null) parts.push(make("p", { cls: "note" }, "The gold target is not at hand."));
  const gold = query[2] ?? "";
  const [left, right, aligned] = difference(gold, predicted);
  if (query[2] !== null) parts.push(labelled("Gold", left, gold.length, "del"));
  parts.push(labelled("Predicted", query[2] === null ? [[0, predicted]] : right, predicted.length, "ins"));
  if (!aligned) parts.push(make("p", { cls: "note" }, "Too long to align: everything between the first and the last difference is marked."));
  const marked = left.some(([off]) => off) || right.some(([off]) => off);
  if (query[2] !== null && !marked && gold.trim() !== predicted) {
    parts.push(make("p", { cls: "note" }, "The tokens are the same; the white space between them is not."));
  }
  if (predicted === "") parts.push(make("p", { cls: "note" }, "The response is empty."));
  return parts;
}

const WITHOUT_ANSWER = {
  truncated: "The bound of tokens came while the model was still thinking, so there is no answer.",
  "ran on": "The bound of tokens came after the answer had begun, and the rule finds none in it.",
  "no answer": "The rule finds no answer in the response.",
  refused: "The model refused to answer.",
  filtered: "A content filter stopped the response.",
};

/** The whole response of a chat, with its reasoning, folded unless nothing was extracted from it. */
function wholeResponse({ record, cell }) {
  if (!record.chat) return [];
  const { text: whole, reasoning } = record.chat;
  const place = answerIn(whole, record.prediction, cell.chat?.answer);
  const box = make("div", { cls: "text", tabindex: "0", "aria-label": "Whole response" });
  const fill = (most) => {
    const shown = whole.slice(0, most);
    if (!place) box.replaceChildren(visible(shown));
    else {
      const [from, to] = place;
      box.replaceChildren(visible(shown.slice(0, from)),
        make("mark", { cls: "answer" }, visible(shown.slice(from, to))), visible(shown.slice(to)));
    }
  };
  fill(LONGEST);
  const length = (value) => `${value.length.toLocaleString("en")} characters`;
  const thinking = reasoning === null ? null : make("details", { cls: "reasoning" },
    make("summary", {}, `Reasoning, ${length(reasoning)}`), long(reasoning, "text"));
  const note = whole.trim() === "" ? "The response is empty but for reasoning."
    : place || record.prediction === null ? null : "The extracted answer does not stand in the text as it is.";
  const made = make("details", { cls: "whole" },
    make("summary", {}, `Whole response, ${length(whole)}`), thinking, box,
    more(whole.length, () => fill(Infinity)), note && make("p", { cls: "note" }, note));
  made.open = record.prediction === null;
  return [made];
}

/** Where the answer stands in a response, as [from, to]: as whole words, with any space between. */
function answerIn(whole, answer, rule) {
  const words = (answer ?? "").trim().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("\\s+");
  const edges = [/^[\p{L}\p{N}_]/u.test(words[0]), /[\p{L}\p{N}_]$/u.test(words.at(-1))];
  const pattern = `${edges[0] ? "(?<![\\p{L}\\p{N}_])" : ""}${escaped}${edges[1] ? "(?![\\p{L}\\p{N}_])" : ""}`;
  const found = [...whole.matchAll(new RegExp(pattern, "gu"))];
  const one = rule === "first_line" ? found[0] : found.at(-1);
  return one ? [one.index, one.index + one[0].length] : null;
}

/** A response that was decoded only until it was known to be wrong. */
function cutShort(record, gold) {
  const left = record.divergence;
  if (!left) return [make("p", { cls: "note" }, "The response is wrong and was not stored.")];
  const before = left.text.trimStart();
  const said = make("div", { cls: "text" }, visible(before));
  const ended = left.expected === null && left.actual === null;
  const token = left.actual === null ? "(end)" : before ? left.actual : left.actual.trimStart();
  if (!ended) said.append(make("ins", {}, visible(token)));
  const note = ended ? "The response was right up to here, where it was cut."
    : left.actual === null ? "The model ended its response there."
      : "The response is known to be wrong from there, so it was not decoded further.";
  const parts = [make("div", { cls: "note" }, "Predicted"), said];
  const wanted = left.expected ?? "";
  if (gold !== null && left.expected === null && !ended) {
    parts.unshift(make("div", { cls: "text" }, visible(gold), make("del", {}, "(end)")));
  } else if (gold !== null) {
    parts.unshift(goldAt(gold, before, wanted));
  }
  if (gold !== null) parts.unshift(make("div", { cls: "note" }, "Gold"));
  const expected = left.expected === null ? "the end" : `“${visible(wanted)}”`;
  const actual = left.actual === null ? "the end" : `“${visible(left.actual)}”`;
  if (!ended) parts.push(make("p", { cls: "note" }, `After ${left.position} tokens: expected ${expected}, the model wrote ${actual}.`));
  parts.push(make("p", { cls: "note" }, note));
  return parts;
}

/** The gold target with the expected token marked, if it is at that position. */
function goldAt(gold, before, wanted) {
  const token = before === "" ? wanted.trimStart() : wanted;
  if (!token || !gold.startsWith(before + token)) return long(gold, "text");
  const rest = gold.slice(before.length + token.length);
  return make("div", { cls: "text" }, visible(before), make("del", {}, visible(token)), visible(rest));
}

function labelled(name, runs, length, tag) {
  const box = make("div", { cls: "text" });
  const fill = (most) => {
    box.replaceChildren();
    let left = most;
    for (const [off, run] of runs) {
      if (left <= 0) break;
      const part = visible(run.slice(0, left));
      left -= run.length;
      box.append(off ? make(tag, {}, part) : part);
    }
  };
  fill(LONGEST);
  return make("div", {}, make("div", { cls: "note" }, name), box, more(length, () => fill(Infinity)));
}

function long(value, cls) {
  const box = make("div", { cls }, visible(value.slice(0, LONGEST)));
  return make("div", {}, box, more(value.length, () => { box.textContent = visible(value); }));
}

function more(length, act) {
  if (length <= LONGEST) return null;
  const label = `Show all ${length.toLocaleString("en")} characters`;
  return make("button", { type: "button", on: { click: (event) => { act(); event.target.remove(); } } }, label);
}

/** Text with escapes for characters that are invisible or turn the direction of writing. */
function visible(value) {
  return value.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, (c) =>
    (c === "\n" || c === "\t" ? c : `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`));
}

// --- difference -------------------------------------------------------------------------------

/** Runs of both texts as [is different, text], and whether they were aligned token by token. */
function difference(a, b) {
  const [left, right] = [a, b].map((value) => value.match(/\S+/g) ?? []);
  let from = 0;
  while (from < left.length && from < right.length && left[from] === right[from]) from++;
  let [m, n] = [left.length, right.length];
  while (m > from && n > from && left[m - 1] === right[n - 1]) [m, n] = [m - 1, n - 1];
  const aligned = (m - from) * (n - from) <= LARGEST;
  const [inLeft, inRight] = aligned
    ? common(left.slice(from, m), right.slice(from, n)) : [new Set(), new Set()];
  const off = (place, end, same) => place >= from && place < end && !same.has(place - from);
  return [
    runs(a, (place) => off(place, m, inLeft)), runs(b, (place) => off(place, n, inRight)), aligned,
  ];
}

/** The places of a longest common subsequence in both lists. */
function common(a, b) {
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const [inA, inB] = [new Set(), new Set()];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      inA.add(i++);
      inB.add(j++);
    } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i++;
    else j++;
  }
  return [inA, inB];
}

/** Runs of a text whose tokens have the same test result, with the white space between them. */
function runs(value, test) {
  const found = [];
  let place = 0;
  for (const part of value.match(/\s+|\S+/g) ?? []) {
    const space = /^\s/.test(part);
    const kind = space ? 0 : Number(test(place++));
    const last = found.at(-1);
    if (last && last[0] === kind) last[1] += part;
    else found.push([kind, part]);
  }
  return joined(found);
}

function joined(found) {
  const made = [];
  found.forEach(([kind, part], n) => {
    const between = /^\s+$/.test(part) && found[n - 1]?.[0] === 1 && found[n + 1]?.[0] === 1;
    const last = made.at(-1);
    if (last && (between || last[0] === kind)) last[1] += part;
    else made.push([kind, part]);
  });
  return made;
}

// --- prompt and coverage ----------------------------------------------------------------------

const parts = (value) => value.split(/\s+/).filter(Boolean);

/** Words of the query and tokens of the gold target, each with the first exemplar that holds it. */
function covered({ query, exemplars, cell }) {
  const hidden = report.templates[cell.template]?.exemplar_sources === false;
  const [words, tokens] = [new Map(), new Map()];
  if (query[1] === null) return { words, tokens };
  for (const word of parts(query[1])) words.set(word, 0);
  for (const token of parts(query[2])) tokens.set(token, 0);
  exemplars.forEach(([, source, target], n) => {
    if (source === null) return;
    for (const word of hidden ? [] : parts(source)) if (words.get(word) === 0) words.set(word, n + 1);
    for (const token of parts(target)) if (tokens.get(token) === 0) tokens.set(token, n + 1);
  });
  return { words, tokens };
}

function coverage(one) {
  const { words, tokens } = covered(one);
  const listed = (map, cls) => [...map].flatMap(([name, n]) => [
    n ? make("mark", { cls }, visible(name)) : make("span", { cls: "uncovered" }, visible(name)),
    n ? ` in ${n}; ` : " in none; ",
  ]);
  return make("div", {},
    make("p", {}, make("span", { cls: "note" }, "Words of the query: "), ...listed(words, "word")),
    make("p", {}, make("span", { cls: "note" }, "Tokens of the gold target: "), ...listed(tokens, "token")),
    make("p", { cls: "note" }, "Each with the number of the first exemplar that holds it. "
      + `The coverage of ${Number(one.record.coverage).toFixed(3)} counts the tokens of the model; `
      + "the marks are on tokens between white space."));
}

function prompt(one) {
  const { query, exemplars, cell, record } = one;
  const template = report.templates[cell.template];
  const hash = make("p", { cls: "note", "data-hash": "" }, `sha256 as recorded: ${record.prompt_sha256}`);
  const missing = [query, ...exemplars].some(([, source]) => source === null);
  if (missing || !template) {
    const ids = exemplars.map(([id], n) => `${n + 1}. ${id}`).join("\n");
    return [make("p", { cls: "note" }, "Exemplars by id:"), make("pre", { cls: "prompt", tabindex: "0" }, visible(ids) || "none"), hash];
  }
  if (record.chat && !cell.chat) {
    hash.textContent = `Sent as messages, in a form that this page does not know; sha256 as recorded: ${record.prompt_sha256}`;
  }
  const messages = record.chat && cell.chat ? messagesOf(one, template) : null;
  const box = make("pre", { cls: "prompt", tabindex: "0", "aria-label": "Prompt" },
    ...(messages ? messages.flatMap(shownMessage) : blocksOf(one, template)));
  if (messages) check(asPython(messages.map(([role, marked]) => [role, plain(marked)])), record.prompt_sha256, hash, ["These are", "the messages"]);
  else if (!record.chat) check(box.textContent, record.prompt_sha256, hash, ["This is", "the prompt"]);
  return [
    make("p", { cls: "note" }, "Marked: ", make("mark", { cls: "word" }, "words of the query"), " and ",
      make("mark", { cls: "token" }, "tokens of its gold target"), " in the exemplars."),
    box, hash,
  ];
}

/** The blocks of the prompt; their joined text is exactly the prompt. */
function blocksOf(one, template) {
  const { words, tokens } = covered(one);
  const blocks = one.exemplars.map(([, source, target]) => {
    const answer = [`${template.target_label} `, ...markedIn(target, tokens, "token")];
    if (!template.exemplar_sources) return answer;
    return [`${template.source_label} `, ...markedIn(source, words, "word"), "\n", ...answer];
  });
  if (template.instruction) blocks.unshift([template.instruction]);
  const last = `${template.source_label} ${one.query[1]}\n${template.target_label}`;
  return [...blocks.map((block) => make("span", {}, ...block, template.separator)), make("span", {}, last)];
}

/** The messages of the prompt as [role, parts], as `icl_gap.prompts.chat_messages` writes them. */
function messagesOf(one, template) {
  const { exemplars: form, system } = one.cell.chat;
  const first = (system ?? template.instruction).trim();
  const opening = first ? [["system", [first]]] : [];
  if (form === "text") {
    const blocks = blocksOf(one, { ...template, instruction: "" });
    return [...opening, ["user", trimmed(blocks)]];
  }
  const { words, tokens } = covered(one);
  const turns = one.exemplars.flatMap(([, source, target]) => [
    ["user", template.exemplar_sources
      ? [`${template.source_label} `, ...markedIn(source, words, "word"), `\n${template.target_label}`]
      : [template.target_label]],
    ["assistant", markedIn(target, tokens, "token")],
  ]);
  return [...opening, ...turns,
    ["user", [`${template.source_label} ${one.query[1]}\n${template.target_label}`]]];
}

/** Parts of a text without the white space around it, which stands in their first and last text. */
function trimmed(blocks) {
  const box = make("span", {}, ...blocks);
  const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walk.nextNode()) texts.push(walk.currentNode);
  if (texts.length) {
    texts[0].data = texts[0].data.trimStart();
    texts.at(-1).data = texts.at(-1).data.trimEnd();
  }
  return [box];
}

const plain = (marked) => marked.map((part) => (typeof part === "string" ? part : part.textContent)).join("");

const shownMessage = ([role, marked]) => [make("span", { cls: "role" }, role), make("span", {}, ...marked)];

/** A list of pairs of texts as Python's `json.dumps` writes it: ASCII alone, a space after commas. */
function asPython(pairs) {
  const quoted = (value) => JSON.stringify(value).replace(/[^\x20-\x7e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `[${pairs.map((pair) => `[${pair.map(quoted).join(", ")}]`).join(", ")}]`;
}

function markedIn(value, wanted, cls) {
  return value.split(/(\s+)/).map((part) => (wanted.has(part) ? make("mark", { cls }, part) : part));
}

async function check(shown, recorded, note, [these, what]) {
  if (!crypto.subtle) return;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(shown));
  const found = Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("");
  note.dataset.hash = found === recorded ? "same" : "other";
  note.textContent = found === recorded
    ? `✓ ${these} ${what} that the model saw: the sha256 is the recorded ${recorded}.`
    : `✗ ${these} not ${what} that the model saw: the sha256 is ${found}, recorded is ${recorded}.`;
}

function stored({ record, cell, query, exemplars }) {
  const all = { cell: cell.key, query_id: query[0], exemplar_ids: exemplars.map(([id]) => id), ...record };
  const box = make("pre", { tabindex: "0" });
  return make("details", {
    on: { toggle: () => { box.textContent = JSON.stringify(all, null, 1).slice(0, 4 * LONGEST); } },
  }, make("summary", {}, "The record as stored"), box);
}

// --- tables and provenance --------------------------------------------------------------------

/** Sort key of a cell: its first number in a column of numbers, else its text. */
function sortKey(cell) {
  const shown = cell.textContent.trim();
  if (!cell.classList.contains("number")) return shown;
  const found = /^[<[]?([-+−]?(?:\d[\d,]*(?:\.\d+)?|\.\d+))([KMBT])?/.exec(shown);
  if (!found) return null;
  const scale = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 }[found[2]] ?? 1;
  return Number(found[1].replace("−", "-").replaceAll(",", "")) * scale;
}

function compare(a, b, sign) {
  if (a === null || b === null) return Number(a === null) - Number(b === null); // unknown values last
  if (typeof a === "number") return sign * (a - b);
  return sign * a.localeCompare(b, "en", { numeric: true });
}

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const sign = heads[column].getAttribute("aria-sort") === "ascending" ? -1 : 1;
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows].map((row) => [sortKey(row.cells[column]), row]);
  rows.sort(([a], [b]) => compare(a, b, sign));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", { type: "button", on: { click: () => sortBy(table, column) } });
    button.append(...head.childNodes);
    head.append(button);
  });
}

function listCells() {
  const names = ["model", "benchmark", "queries", "condition", "shots", "seed", "requests", "key", ""];
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  const rows = report.cells.map((cell) => make("tr", {},
    ...[cell.label, cell.benchmark, cell.query_split, cell.condition.toUpperCase(), cell.shots, cell.seed, cell.rows]
      .map((value) => make("td", {}, visible(String(value)))),
    make("td", { cls: "key" }, cell.key),
    make("td", {}, make("button", { type: "button", on: { click: () => showCell(cell) } }, "Spec"))));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  byId("cells").querySelector(".scroll").replaceChildren(table);
}

async function showCell(cell) {
  const info = await json(cell.info);
  const dialog = byId("request");
  dialog.replaceChildren(
    make("div", { cls: "bar" }, make("h2", { id: "request-title" }, `Cell ${cell.key.slice(0, 16)}`),
      make("button", { type: "button", on: { click: () => dialog.close() } }, "Close (Esc)")),
    make("div", { cls: "body" }, make("pre", { tabindex: "0" }, visible(JSON.stringify(info, null, 1)))));
  dialog.showModal();
}

// --- links and keys ---------------------------------------------------------------------------

/** Write filters and the opened request to the address, so that it can be shared. */
function remember() {
  const found = new URLSearchParams();
  for (const name of FIELDS) if (field(name).value !== "") found.set(name, field(name).value);
  if (state.opened !== null) {
    const cell = report.cells[report.cellOf[state.opened]];
    found.set("request", `${cell.key.slice(0, 16)}.${state.opened - cell.start}`);
  }
  const address = found.size ? `#${found}` : location.pathname + location.search;
  if (found.size || location.hash.includes("=")) history.replaceState(null, "", address);
}

async function recall() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const name of FIELDS) if (found.has(name)) field(name).value = found.get(name);
  const [key, at] = (found.get("request") ?? "").split(".");
  await filter();
  const cell = report.cells.find((each) => key && each.key.startsWith(key));
  if (!cell) return;
  const n = state.shown.indexOf(cell.start + Number(at));
  if (n < 0) return;
  byId("requests").scrollIntoView();
  choose(n);
  await open();
}

function moveInList(event) {
  const page = Math.floor(byId("list").clientHeight / ROW);
  const to = {
    ArrowDown: state.chosen + 1, j: state.chosen + 1, ArrowUp: state.chosen - 1, k: state.chosen - 1,
    PageDown: state.chosen + page, PageUp: state.chosen - page, Home: 0, End: state.shown.length - 1,
  }[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (to !== undefined) choose(to);
  else if (event.key === "Enter") open();
  else return;
  event.preventDefault();
}

function anywhere(event) {
  const typing = event.target.closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const dialog = byId("request");
  if (dialog.open && state.opened !== null && (event.key === "j" || event.key === "k")) {
    step(event.key === "j" ? 1 : -1);
  } else if (event.key === "/" && !dialog.open) {
    field("text").focus();
    event.preventDefault();
  }
}

function listen() {
  byId("list").addEventListener("scroll", draw, { passive: true });
  byId("list").addEventListener("keydown", moveInList);
  byId("filters").addEventListener("input", () => filter());
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(filter));
  byId("request").addEventListener("close", () => {
    state.opened = null;
    remember();
    byId("list").focus();
  });
  byId("cells").addEventListener("toggle", listCells, { once: true });
  addEventListener("keydown", anywhere);
  addEventListener("resize", draw);
  addEventListener("hashchange", () => location.hash.includes("=") && recall());
  foldsInPrint();
}

/** Open all folded sections for printing. */
function foldsInPrint() {
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("main details:not([open]):not(#cells)")];
    closed.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((fold) => { fold.open = false; }));
}

async function start() {
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  await load();
  fillFilters();
  listen();
  await recall();
  if (state.shown.length) await text(report.query[state.shown[0]]);
  drawRows();
  requestAnimationFrame(() => { // the first rows are on the screen
    document.documentElement.dataset.ready = performance.now().toFixed(0);
  });
}

start().catch((error) => {
  byId("count").textContent = `The requests cannot be shown: ${error}`;
});
