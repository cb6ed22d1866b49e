// --- a request ----------------------------------------------------------------------------------

async function open() {
  const row = state.shown[state.chosen];
  if (row === undefined) return;
  state.opened = row;
  const twin = report.twin[row];
  const rows = twin < 0 ? [row] : [row, twin];
  const found = await Promise.all(rows.map(request));
  if (state.opened !== row) return;
  const rank = ({ cell }) => `${cell.run ?? ""} ${cell.condition}`;
  found.sort((a, b) => rank(a).localeCompare(rank(b)));
  const dialog = byId("request");
  dialog.replaceChildren(bar(found.find((one) => one.row === row)), make("div", { cls: "body" },
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
  return make("div", { cls: "bar" },
    make("h2", { id: "request-title" }, visible(query[0]), make("span", { cls: "note" }, ` ${visible(where)}`)),
    button("↑ Previous", "k", () => step(-1), state.chosen === 0),
    button("↓ Next", "j", () => step(1), state.chosen + 1 >= state.shown.length),
    button("Close", "Esc", () => byId("request").close()));
}

/** A button with the key that does the same. */
function button(label, key, act, off = false) {
  const made = make("button", { type: "button", on: { click: act } }, label, make("kbd", { cls: "keys" }, key));
  made.disabled = off;
  return made;
}

/** The query and its gold target, once for both sides. */
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
  const made = make("section", {
    cls: `side ${opened ? "opened" : ""}`, "data-condition": one.cell.condition,
    "aria-label": one.cell.run ?? one.cell.condition.toUpperCase(),
  });
  made.append(
    make("h3", {}, `${sideName(one)} `,
      make("span", { cls: `badge ${outcomeClass(one.row)}` }, outcomeText(one.row))),
    ...whereWrong(one),
    make("h3", {}, `${one.record.chat ? "Extracted answer" : "Response"}, compared with the gold target`),
    ...answered(one), ...wholeResponse(one),
    make("h3", {}, "Prompt"), ...prompt(one),
    make("details", {}, make("summary", {}, "Coverage"), coverage(one)),
    facts(one), stored(one));
  return made;
}

/** The condition of a request, after the results it is from where two are compared. */
function sideName({ cell }) {
  const other = cell.query_split === "train" ? "test" : "train";
  const pool = cell.condition === "id" ? `the query’s own split, ${cell.query_split}` : `the other split, ${other}`;
  const run = cell.run === null ? "" : `${visible(cell.run)}, `;
  return `${run}${cell.condition.toUpperCase()}: exemplars from ${pool}`;
}

function facts({ record, exemplars }) {
  const likely = record.gold_logprob === null ? null : `${record.gold_logprob} nats per token`;
  const shown = [
    ["Exemplars", exemplars.length], ["Coverage", Number(record.coverage).toFixed(3)],
    ["Prompt tokens", record.prompt_tokens],
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
