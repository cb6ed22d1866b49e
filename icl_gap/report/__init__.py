"""The report: results as one HTML page with the conclusion, figures, tables and every request.

The page is a single file that needs no network. Conclusion, figures and tables are HTML; requests
are in compressed blocks, which the script of the page unpacks when a reader opens a request.

    figures.py       the shipped figures as SVG elements of one page
    compressed.py    compressed blocks, kept on disk until the page is written
    request_data.py  requests: columns for the filters, all other fields in blocks
    run_details.py   requests without a score, models, benchmarks, software and machine
    page.py          the whole page; its parts are report.html, report.css and report.js
"""

from __future__ import annotations

from icl_gap.report.page import write_report

__all__ = ["write_report"]
