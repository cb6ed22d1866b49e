"""200,000 requests: how soon the page is there, how large it is, what it takes to make."""

from __future__ import annotations

import time
import tracemalloc
from statistics import median

import pytest
from studies import save_study

from icl_gap.analysis import analyze
from icl_gap.report import write_report


@pytest.mark.slow
def test_two_hundred_thousand_requests_open_at_once(opened, browser, tmp_path) -> None:
    models = [f"model-{n}" for n in range(10)]
    results = save_study(
        tmp_path / "s", "scan", models=models, shots=(10,), seeds=range(5), limit=1000
    )
    assert sum(cell.info.n_queries for cell in results) == 200_000
    page = opened(results)
    times = []
    for _ in range(3):
        page.visit()
        times.append(float(page.run("return document.documentElement.dataset.ready")))
    assert page.count == "200,000 requests"
    frames = page.browser.execute_async_script(SCROLL)
    page.run("document.getElementById('list').scrollTop = 1e9")
    page.settle()
    assert page.run("return document.querySelector('#rows .row:last-child').id") == "row-199999"
    analysis, start = analyze(results, resamples=200), time.perf_counter()
    write_report(results, analysis, tmp_path / "again.html")
    seconds = time.perf_counter() - start
    tracemalloc.start()
    write_report(results, analysis, tmp_path / "again.html")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = page.path.stat().st_size
    print(
        f"\n200,000 requests: open in {median(times):.0f} ms ({times}), {size / 1e6:.1f} MB, "
        f"made in {seconds:.1f} s, {peak / 1e6:.0f} MB of memory at most; "
        f"scrolling, a frame takes {frames['median']:.1f} ms, at most {frames['longest']:.1f}"
    )
    assert median(times) < 3000
    assert frames["median"] < 34
    assert browser


SCROLL = """
const [done, list] = [arguments[0], document.getElementById("list")];
const times = [];
let last = performance.now();
function step() {
  const now = performance.now();
  times.push(now - last);
  last = now;
  list.scrollTop += 5000;
  if (times.length < 120) requestAnimationFrame(step);
  else {
    const sorted = times.slice(2).sort((a, b) => a - b);
    done({ median: sorted[sorted.length >> 1], longest: sorted.at(-1) });
  }
}
requestAnimationFrame(step);
"""
