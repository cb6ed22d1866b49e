"""The table of recipe keys in `plots/README.md`, made from the specs.

`PYTHONPATH=.:tests python tests/plots/readme_keys.py` writes it anew after a change of the specs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icl_gap.plots import CurveRecipe, HeatmapRecipe

README = Path(__file__).parents[2] / "plots" / "README.md"
TABLE = re.compile(r"(?<=<!-- keys -->\n).*?(?=<!-- end of keys -->)", re.DOTALL)
FIRST = ("name", "kind", "x", "y")


def key_table() -> str:
    """Return the keys of recipes as a Markdown table: allowed values, default and meaning."""
    curve, heatmap = (each.model_json_schema() for each in (CurveRecipe, HeatmapRecipe))
    known = curve["properties"] | {"kind": {**curve["properties"]["kind"], "const": None}}
    known["kind"]["enum"] = [each["properties"]["kind"]["const"] for each in (curve, heatmap)]
    rows = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for key in sorted(known, key=lambda key: (key not in FIRST, key in FIRST and FIRST.index(key))):
        schema = known[key]
        meaning = " ".join(schema["description"].split())
        only = "" if key in heatmap["properties"] else "Curves only. "
        required = key in curve["required"]
        default = "required" if required else _default(schema.get("default"))
        rows.append(f"| `{key}` | {_allowed(schema)} | {default} | {only}{meaning} |")
    return "\n".join(rows) + "\n"


def _allowed(schema: Mapping[str, Any]) -> str:  # noqa: PLR0911 (one for each form of a schema)
    """Say in words what a JSON schema allows."""
    match schema:
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"anyOf": [first, {"type": "null"}]}:
            return _allowed(first)
        case {"type": "array", "prefixItems": items}:
            return f"list of {len(items)}: {_allowed(items[0])}"
        case {"type": "array", "items": item}:
            most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"list{most}: {_allowed(item)}"
        case {"exclusiveMinimum": low, "maximum": high}:
            return f"more than {low:g}, at most {high:g}"
        case {"pattern": _}:
            return "letters, digits, `.`, `_`, `-`"
        case {"type": "string"}:
            return "text"
    raise ValueError(f"no words for the schema {schema}")


def _default(value: object) -> str:
    if value is None or value == []:
        return ""
    return f"`[{', '.join(map(str, value))}]`" if isinstance(value, list) else f"`{value}`"


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(TABLE.sub(lambda _: key_table(), text), encoding="utf-8")
