"""Tables of the README pages and the schema of sweeps, made from the specs and the cards.

`PYTHONPATH=.:tests python tests/readme_tables.py` writes them anew after a change of these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nano_cards import exact_match_table

from icl_gap.data import DatasetCard, list_cards
from icl_gap.evaluation.config import DatasetEntry, SweepSpec
from icl_gap.evaluation.sweep_schema import sweep_schema
from icl_gap.models import FamilySpec, OpenAISpec, RandomInitSpec, TransformersSpec
from icl_gap.plots import CurveRecipe, HeatmapRecipe
from icl_gap.specs import Spec

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "sweeps" / "schema.json"
"""JSON schema of sweep files, for editors."""
Key = tuple[Mapping[str, Any], bool]
"""The JSON schema of a key, and whether it is required."""


def marked(name: str) -> re.Pattern[str]:
    """Return a pattern of the text between a table's marks."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)


def spec_table(*specs: type[Spec], first: Sequence[str] = ("name",)) -> str:
    """Return the keys of one or several specs as a Markdown table.

    Args:
        specs: The specs. A key that several have stands once.
        first: Keys that come before the others, which are sorted.
    """
    keys: dict[str, Key] = {}
    for spec in specs:
        schema = spec.model_json_schema()
        definitions = schema.get("$defs", {})
        for key, value in schema["properties"].items():
            if {*value} <= {"default", "description"}:  # a family of the zoo passes it on
                continue
            keys.setdefault(key, (_resolved(value, definitions), key in schema.get("required", ())))
    return _table(keys, first)


def recipe_table() -> str:
    """Return the keys of recipes as a Markdown table."""
    curve, heatmap = (each.model_json_schema() for each in (CurveRecipe, HeatmapRecipe))
    kinds = [each["properties"]["kind"]["const"] for each in (curve, heatmap)]
    keys: dict[str, Key] = {}
    for key, value in curve["properties"].items():
        only = "" if key in heatmap["properties"] else "Curves only. "
        keys[key] = {**value, "description": only + value["description"]}, key in curve["required"]
    keys["kind"] = {**keys["kind"][0], "const": None, "enum": kinds}, False
    return _table(keys, ("name", "kind", "x", "y"))


def _table(keys: Mapping[str, Key], first: Sequence[str]) -> str:
    """Return keys as a Markdown table: allowed values, default and meaning."""
    rows = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for key in sorted(keys, key=lambda k: (k not in first, first.index(k) if k in first else k)):
        schema, required = keys[key]
        meaning = " ".join(str(schema.get("description", "")).split()).replace("|", "\\|")
        default = "required" if required else shown_default(schema.get("default"))
        rows.append(f"| `{key}` | {allowed(schema)} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key's schema with what its references name; its own description goes first."""
    schema = dict(schema)
    while "$ref" in schema:
        inner = definitions[schema.pop("$ref").rpartition("/")[2]]
        schema = {**inner, **schema}
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            schema[name] = _resolved(schema[name], definitions)
    if "anyOf" in schema:
        schema["anyOf"] = [_resolved(each, definitions) for each in schema["anyOf"]]
    return schema


def allowed(schema: Mapping[str, Any]) -> str:  # noqa: PLR0911, C901 (one for each form of a schema)
    """Say in words what a JSON schema allows."""
    match schema:
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"anyOf": options}:
            found = dict.fromkeys(allowed(each) for each in options if each.get("type") != "null")
            return " or ".join(found)
        case {"type": "array", "prefixItems": items}:
            return f"list of {len(items)}: {allowed(items[0])}"
        case {"type": "array", "items": item}:
            most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"list{most}: {allowed(item)}"
        case {"exclusiveMinimum": low, "maximum": high}:
            return f"more than {low:g}, at most {high:g}"
        case {"pattern": pattern} if pattern.startswith("^https?"):
            return "http or https address"
        case {"pattern": _}:
            return "letters, digits, `.`, `_`, `-`"
        case {"type": "string"}:
            return "text"
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"type": "integer" | "number" as kind}:
            word = "whole number" if kind == "integer" else "number"
            low = schema.get("minimum")
            return word if low is None or low < -(2**60) else f"{word}, {low:g} or more"
        case {"type": "object"} | {"oneOf": _}:
            return "keys and values"
    raise ValueError(f"no words for the schema {schema}")


def shown_default(value: object) -> str:
    """Return a default as YAML has it; nothing where there is none."""
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, dict):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`[{', '.join(map(str, value))}]`" if isinstance(value, list) else f"`{value}`"


SOURCES = {"grammar": "generated", "local": "yours", "url": "fetched", "hub": "fetched"}
"""Where the files of each kind of source come from."""


def card_table() -> str:
    """Return the shipped benchmarks as a Markdown table."""
    rows = [
        "| name | benchmark | language | splits | train/test | files |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*rows, *map(card_row, list_cards())]) + "\n"


def card_row(card: DatasetCard) -> str:
    """Return the row of a benchmark: its default split is bold, and the sizes are its."""
    names = list(card.splits) if len(card.splits) <= 4 else [card.default_split]
    splits = ", ".join(f"**{name}**" if name == card.default_split else name for name in names)
    more = len(card.splits) - len(names)
    default = card.splits[card.default_split]
    sizes = f"{default.train:,}/{default.test:,}" if default.train and default.test else "any"
    cells = (
        f"`{card.name}`",
        card.title.partition(": ")[2] or card.title,
        card.language,
        splits + (f" and {more} more" if more else ""),
        sizes,
        "/".join(dict.fromkeys(SOURCES[source.kind] for source in card.sources)),
    )
    return f"| {' | '.join(cells)} |"


TABLES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "datasets/README.md": {"cards": card_table},
    "icl_gap/nano/README.md": {"exact match": exact_match_table},
    "plots/README.md": {"keys": recipe_table},
    "sweeps/README.md": {
        "keys of a sweep": lambda: spec_table(SweepSpec, first=("name", "datasets", "models")),
        "keys of a benchmark": lambda: spec_table(DatasetEntry),
        "keys of a model": lambda: spec_table(
            TransformersSpec, FamilySpec, first=("kind", "model", "family", "sizes", "name")
        ),
        "keys of a random model": lambda: spec_table(RandomInitSpec, first=("kind", "family")),
        "keys of a served model": lambda: spec_table(
            OpenAISpec, first=("kind", "model", "base_url", "name")
        ),
    },
}
"""Tables of each page, by the name that stands in their marks."""


def main() -> None:
    """Write all tables anew."""
    for page, tables in TABLES.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        for name, table in tables.items():
            text = marked(name).sub(lambda _, table=table: table(), text)
        (ROOT / page).write_text(text, encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")


def schema_text() -> str:
    """Return the JSON schema of sweep files as text."""
    return json.dumps(sweep_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
