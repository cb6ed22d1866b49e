// --- figures: the numbers of a mark -----------------------------------------------------------

const REACH = 28; // pixels between a finger and a mark that still count as a tap on it

/** Make the titles of a figure's marks answer to pointer, finger and keyboard. */
function listenToMarks(card) {
  const marks = [...card.querySelectorAll("g > title")].map((title) => {
    const mark = title.parentNode;
    mark.dataset.tip = title.textContent;
    title.remove(); // or browsers would show it a second time
    return mark;
  });
  if (!marks.length) return;
  const shown = { at: -1 };
  const show = (at) => {
    marks[shown.at]?.classList.remove("lit");
    shown.at = at;
    marks[at]?.classList.add("lit");
    showTip(marks[at]);
  };
  card.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") show(marks.indexOf(event.target.closest("[data-tip]")));
  });
  card.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(-1));
  card.addEventListener("click", (event) => show(nearest(marks, event)));
  card.addEventListener("focus", () => card.matches(":focus-visible") && show(Math.max(shown.at, 0)));
  card.addEventListener("blur", () => show(-1));
  card.addEventListener("keydown", (event) => stepThroughMarks(event, marks, shown.at, show));
}

function stepThroughMarks(event, marks, at, show) {
  const n = marks.length;
  const to = {
    ArrowRight: (at + 1) % n, ArrowDown: (at + 1) % n, ArrowLeft: at > 0 ? at - 1 : n - 1,
    ArrowUp: at > 0 ? at - 1 : n - 1, Home: 0, End: n - 1, Escape: -1,
  }[event.key];
  if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  marks[to]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  show(to);
  event.preventDefault();
}

/** The number of the mark under or next to a pointer; -1 where none is near. */
function nearest(marks, { target, clientX, clientY }) {
  const under = marks.indexOf(target.closest("[data-tip]"));
  if (under >= 0) return under;
  let [found, least] = [-1, REACH];
  marks.forEach((mark, n) => {
    const { left, right, top, bottom } = mark.getBoundingClientRect();
    const away = Math.hypot(Math.max(left - clientX, 0, clientX - right), Math.max(top - clientY, 0, clientY - bottom));
    if (away < least) [found, least] = [n, away];
  });
  return found;
}

/** Show the numbers of a mark beside it; hide them without a mark. */
function showTip(mark) {
  const tip = byId("tip");
  tip.textContent = mark?.dataset.tip ?? "";
  if (!mark) return;
  const [at, box] = [mark.getBoundingClientRect(), tip.getBoundingClientRect()];
  const left = Math.min(Math.max(4, at.left + at.width / 2 - box.width / 2), innerWidth - box.width - 4);
  const above = at.top - box.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : Math.min(at.bottom + 8, innerHeight - box.height - 4)}px`;
}
