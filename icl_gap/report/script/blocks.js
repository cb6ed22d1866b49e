// --- blocks and columns -------------------------------------------------------------------------

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

const report = {}; // filled in by `load`
const state = { shown: new Uint32Array(0), chosen: 0, matches: null, opened: null, filterRun: 0 };

async function load() {
  const about = await json(Number(byId("blocks").dataset.start));
  const [query, outcome, divergence, position] = await Promise.all([
    ...about.columns.map(unpack), unpack(about.positions),
  ]);
  Object.assign(report, about, {
    query: new Uint32Array(query), outcome: new Uint8Array(outcome),
    divergence: new Int32Array(divergence), position: new Uint32Array(position), loaded: [], listed: 0,
  });
  report.cellOf = new Uint32Array(report.query.length);
  let start = 0;
  report.cells.forEach((cell, n) => {
    cell.start = start;
    cell.benchmark = `${cell.dataset}/${cell.split}`;
    cell.label = cell.trained ? cell.model : `${cell.model} (untrained)`;
    cell.listed = cell.run === null || cell.run === report.runs.at(-1);
    start += cell.rows;
    if (cell.listed) report.listed += cell.rows;
    report.cellOf.fill(n, cell.start, start);
  });
  report.twin = twins();
}

/** The row of the same query in the twin of its cell, for each row; -1 where there is none.
 *  Twins differ in their condition or, where two results are compared, in the results. */
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
