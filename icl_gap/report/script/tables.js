// --- tables and provenance ----------------------------------------------------------------------

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
      button("Close", "Esc", () => dialog.close())),
    make("div", { cls: "body" }, make("pre", { tabindex: "0" }, visible(JSON.stringify(info, null, 1)))));
  dialog.showModal();
}
