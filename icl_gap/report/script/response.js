// --- the response -------------------------------------------------------------------------------

/** A sentence on the first token that is wrong, or on the first word where no token is recorded. */
function whereWrong(one) {
  const found = wrongToken(one.record) ?? wrongWord(one);
  if (!found) return [];
  const [kind, number, expected, actual] = found;
  return [make("p", { cls: "where" }, `Wrong at ${kind} ${number}: expected `,
    make("code", {}, named(expected)), ", got ", make("code", {}, named(actual)), ".")];
}

function wrongToken({ divergence: left }) {
  if (!left || (left.expected === null && left.actual === null)) return null;
  return ["token", left.position + 1, left.expected, left.actual];
}

function wrongWord({ row, record, query }) {
  if (outcomeClass(row) !== "wrong" || record.prediction === null || query[2] === null) return null;
  const [gold, predicted] = [query[2], record.prediction].map((value) => value.match(/\S+/g) ?? []);
  let at = 0;
  while (at < gold.length && gold[at] === predicted[at]) at++;
  if (at === gold.length && at === predicted.length) return null;
  return ["word", at + 1, gold[at] ?? null, predicted[at] ?? null];
}

/** A token for a sentence: without the space before it, unless it is all space. */
function named(token) {
  if (token === null) return "the end";
  const shown = token.trim() === "" ? JSON.stringify(token) : token.trim();
  return visible(shown.length > MOST_NAMED ? `${shown.slice(0, MOST_NAMED)}…` : shown);
}

const MOST_NAMED = 80; // characters of a token in a sentence

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
  if (!aligned) {
    parts.push(make("p", { cls: "note" },
      "Too long to align: everything between the first and the last difference is marked."));
  }
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
