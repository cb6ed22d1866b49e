// --- difference ---------------------------------------------------------------------------------

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
