// --- prompt and coverage ------------------------------------------------------------------------

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
  if (missing || !template) return [...exemplarsById(exemplars), hash];
  const messages = record.chat && cell.chat ? messagesOf(one, template) : null;
  const pieces = messages ? messages.flatMap((message) => message.pieces) : piecesOf(one, template);
  checkPrompt(record, messages, pieces, hash);
  const box = make("div", { cls: "prompt text", tabindex: "0", role: "group", "aria-label": "Prompt" },
    ...folded(pieces, one, template));
  return [marksAndFolds(box), box, hash];
}

function exemplarsById(exemplars) {
  const ids = exemplars.map(([id], n) => `${n + 1}. ${id}`).join("\n");
  return [make("p", { cls: "note" }, "Exemplars by id:"),
    make("pre", { cls: "prompt", tabindex: "0" }, visible(ids) || "none")];
}

/** Say whether the prompt shown is the one that was sent, as far as the page knows its form. */
function checkPrompt({ chat, prompt_sha256: recorded }, messages, pieces, note) {
  if (messages) {
    const sent = messages.map((message) => [message.role, plain(message.pieces)]);
    check(asPython(sent), recorded, note, ["These are", "the messages"]);
  } else if (chat) {
    note.textContent = `Sent as messages, in a form that this page does not know; sha256 as recorded: ${recorded}`;
  } else check(plain(pieces), recorded, note, ["This is", "the prompt"]);
}

/** The text of some pieces of a prompt. */
const plain = (pieces) => pieces.map(({ box }) => box.textContent).join("");

/** What the marks mean, and a button that opens or closes all exemplars. */
function marksAndFolds(box) {
  const folds = [...box.querySelectorAll("details")];
  const fold = make("button", { type: "button", cls: "small", on: { click: () => {
    const open = folds.some((each) => !each.open);
    folds.forEach((each) => { each.open = open; });
  } } }, "Unfold or fold all");
  return make("p", { cls: "note" }, "Marked in the exemplars: ",
    make("mark", { cls: "word" }, "words of the query"), " and ",
    make("mark", { cls: "token" }, "tokens of its gold target"), ". ", folds.length ? fold : null);
}

/** A piece of a prompt: the number of its exemplar, or 0, and a box with its text. */
const piece = (exemplar, parts) =>
  ({ exemplar, role: null, box: make("span", { "data-piece": "" }, ...parts) });

/** The pieces of the prompt; their joined text is exactly the prompt. */
function piecesOf(one, template) {
  const { words, tokens } = covered(one);
  const exemplars = one.exemplars.map(([, source, target], n) => {
    const answer = [`${template.target_label} `, ...markedIn(target, tokens, "token"), template.separator];
    if (!template.exemplar_sources) return piece(n + 1, answer);
    return piece(n + 1, [`${template.source_label} `, ...markedIn(source, words, "word"), "\n", ...answer]);
  });
  const first = template.instruction ? [piece(0, [template.instruction, template.separator])] : [];
  return [...first, ...exemplars, piece(0, [`${template.source_label} ${one.query[1]}\n${template.target_label}`])];
}

/** The messages of the prompt, as `icl_gap.prompts.chat_messages` writes them. */
function messagesOf(one, template) {
  const { exemplars: form, system } = one.cell.chat;
  const message = (role, pieces) => {
    pieces[0].role = role;
    return { role, pieces };
  };
  const first = (system ?? template.instruction).trim();
  const opening = first ? [message("system", [piece(0, [first])])] : [];
  if (form === "text") {
    return [...opening, message("user", trimmed(piecesOf(one, { ...template, instruction: "" })))];
  }
  const { words, tokens } = covered(one);
  const turns = one.exemplars.flatMap(([, source, target], n) => [
    message("user", [piece(n + 1, template.exemplar_sources
      ? [`${template.source_label} `, ...markedIn(source, words, "word"), `\n${template.target_label}`]
      : [template.target_label])]),
    message("assistant", [piece(n + 1, markedIn(target, tokens, "token"))]),
  ]);
  const last = `${template.source_label} ${one.query[1]}\n${template.target_label}`;
  return [...opening, ...turns, message("user", [piece(0, [last])])];
}

/** Pieces without the white space around them, which stands in their first and last text. */
function trimmed(pieces) {
  const texts = pieces.flatMap(({ box }) => {
    const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walk.nextNode()) found.push(walk.currentNode);
    return found;
  });
  if (texts.length) {
    texts[0].data = texts[0].data.trimStart();
    texts.at(-1).data = texts.at(-1).data.trimEnd();
  }
  return pieces;
}

/** Pieces as shown: those of one exemplar in a fold, with its source or target at the head. */
function folded(pieces, one, template) {
  const shown = [];
  let fold = null;
  for (const { exemplar, role, box } of pieces) {
    const label = role ? [make("span", { cls: "role" }, role)] : [];
    if (!exemplar) shown.push(...label, box);
    else {
      if (fold?.dataset.exemplar !== `${exemplar}`) {
        fold = make("details", { cls: "exemplar", "data-exemplar": exemplar }, headOf(exemplar, one, template));
        shown.push(fold);
      }
      fold.append(...label, box);
    }
  }
  return shown;
}

function headOf(exemplar, one, template) {
  const { words, tokens } = covered(one);
  const [, source, target] = one.exemplars[exemplar - 1];
  const [value, wanted, cls] = template.exemplar_sources ? [source, words, "word"] : [target, tokens, "token"];
  return make("summary", {}, `${exemplar}. `, ...markedIn(value.slice(0, 200), wanted, cls));
}

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
    cls: "record",
    on: { toggle: () => { box.textContent = JSON.stringify(all, null, 1).slice(0, 4 * LONGEST); } },
  }, make("summary", {}, "The record as stored"), box);
}
