"""A small geography in the form of GeoQuery's files."""

from __future__ import annotations

import json
from pathlib import Path

FACTS = """\
state('north','no','alpha',100,10.0,1,'alpha','beta','x','y').
state('south','so','gamma',300,60.0,2,'gamma','x','y','z').
city('north','no','alpha',90).
city('south','so','gamma',250).
river('long',900,['north','south']).
river('short',10,['north']).
border('north','no',['south']).
border('south','so',['north']).
"""
QUESTIONS = (
    ("Which rivers run in North ?", "answer(river(loc_2(stateid('north'))))"),
    ("Which rivers run in South ?", "answer(river(loc_2(stateid('south'))))"),
)
LONGEST, RIVERS = "answer ( longest ( river ) )", "answer ( intersection ( river , loc_2 ( m0 ) ) )"
"""Programs with the same answer for `geo-1`, and with different ones for `geo-0`."""


def save_geography(folder: Path) -> Path:
    """Write the files into a data folder, and return that folder."""
    place = folder / "geoquery"
    (place / "splits" / "nqg").mkdir(parents=True)
    rows = [{"query": query, "funql": funql} for query, funql in QUESTIONS]
    (place / "all.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (place / "geobase").write_text(FACTS)
    (place / "splits" / "nqg" / "template_1.json").write_text('{"train": [0], "test": [1]}')
    return folder
