"""The report: results as one HTML page with the conclusion, figures, tables and every request.

The page is a single file that needs no network. Conclusion, figures and tables are HTML; requests
are in compressed blocks, which the script of the page unpacks when a reader opens a request. A
second page compares two results.

    page.py             the report: what goes into it
    comparison_page.py  the comparison of two results: what goes into it
    rendering.py        one file of templates/, its style and script/
    plain_words.py      the answer in plain words
    key_numbers.py      the three numbers at the top
    figures.py          the shipped figures as SVG elements of one page
    dark_colours.py     their colours in dark mode
    compressed.py       compressed blocks, kept on disk until the page is written
    request_data.py     requests: columns for the filters, all other fields in blocks
    run_details.py      requests without a score, models, benchmarks, software and machine
    cell_pairs.py       cells of two results that ask the same
    outcome_changes.py  requests whose outcome differs between two results
    settings_table.py   settings that differ between them
"""

from __future__ import annotations

from icl_gap.report.comparison_page import write_comparison
from icl_gap.report.page import write_report

__all__ = ["write_comparison", "write_report"]
