"""A study as one page: the answer in words, figures, tables, and every request to look through.

The page is a single file that needs no network. What it shows at once is HTML; the requests are
kept in compressed blocks that the page's script unpacks when they are looked at.

    words.py     the answer, in sentences made from the numbers
    figures.py   the shipped figures, made fit to stand in one page
    blocks.py    compressed pieces, kept on disk until the page is written
    requests.py  the requests: columns for the filters, the rest in blocks
    traces.py    what was left out, and what the results were made with
    page.py      the whole page; its parts are report.html, report.css and report.js
"""

from __future__ import annotations

from icl_gap.report.page import write_report

__all__ = ["write_report"]
