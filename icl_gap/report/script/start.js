// --- links and keys -----------------------------------------------------------------------------

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
  byId("cells")?.addEventListener("toggle", listCells, { once: true });
  addEventListener("keydown", anywhere);
  addEventListener("resize", draw);
  addEventListener("hashchange", () => location.hash.includes("=") && recall());
  for (const name of ["wheel", "touchmove"]) addEventListener(name, () => showTip(null), { passive: true });
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
  document.querySelectorAll(".card").forEach(listenToMarks);
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
