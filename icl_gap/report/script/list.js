// --- the list -----------------------------------------------------------------------------------

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
    ["outcome", listedOutcome(row)], ["model", cell.label], ["benchmark", cell.benchmark],
    ["queries", cell.query_split], ["condition", cell.condition.toUpperCase()],
    ["shots", `${cell.shots}`], ["seed", `${cell.seed}`], ["at", at < 0 ? "–" : `token ${at + 1}`],
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

/** The outcome of a row; where two results are compared, after the outcome in the first. */
function listedOutcome(row) {
  const before = report.runs ? `${outcomeText(report.twin[row])} → ` : "";
  return before + outcomeText(row);
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
