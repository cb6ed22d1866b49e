"""Tables of `sweeps/open_models.md`: kept from results as verdicts, and made from these.

`PYTHONPATH=.:tests python tests/open_models.py keep RESULTS...` keeps the verdicts of finished
results folders under `sweeps/open_models/`, and `PYTHONPATH=.:tests python tests/open_models.py`
writes the page's tables anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from readme_tables import ROOT, marked
from scipy import stats

from icl_gap.analysis import analyze
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import GapPoint
from icl_gap.evaluation.adjudicated import count_adjudicated
from icl_gap.evaluation.precision import read_checks
from icl_gap.results import Results, open_results
from icl_gap.results.frame import frame_of
from icl_gap.schema import CellInfo, CellResult, Record

PAGE = ROOT / "sweeps" / "open_models.md"
PARTS = ROOT / "sweeps" / "open_models"
_CELL = (
    "model", "family", "n_params", "n_params_non_embedding", "dataset", "split", "query_split",
    "condition", "shots", "seed",
)  # fmt: skip
_METRICS = ("raw", "canonical")
_GAPS = ("geoquery", "scan", "cfq", "largest")
"""Parts whose gaps are compared."""
_CHATS = ("chat_turns", "chat_text")
_LEVY = {
    "random": ("Random", 53.7, 49.7),
    "bm25": ("Top-K", 86.3, 78.0),
    "cover_utterance": ("Cover-Utt", 89.0, 82.1),
}
"""Name and exact match (%) of each strategy with Codex on GeoQuery in Levy et al. 2023 (arXiv
2212.06800): standard split, and the mean of the template splits."""
Part = Mapping[str, Any]


def kept(results: Results) -> dict[str, Any]:
    """Return the verdicts of finished results, without any text of a benchmark.

    A cell's verdicts are a string with one character for each query of its side: `1` right, `0`
    wrong, `-` not answered.
    """
    assert not results.unfinished, f"{results.folder}: unfinished: {results.unfinished}"
    queries: dict[str, list[str]] = {}
    cells, made = [], {}
    for number, info in enumerate(results.infos):
        records = results[number].records
        side = f"{info.dataset}/{info.split}/{info.query_split}"
        ids = [record.query_id for record in records]
        assert queries.setdefault(side, ids) == ids, f"{side}: cells ask other queries"
        problems = Counter(str(r.reason) for r in records if r.chat or r.status != "scored")
        cells.append(
            {name: getattr(info, name) for name in _CELL}
            | {name: "".join(_verdict(r, name) for r in records) for name in _METRICS}
            | {
                "spec": {name: info.spec[name] for name in ("model", "sampler")},
                "prompt_tokens": sum(r.prompt_tokens or 0 for r in records),
                "seconds": round(sum(r.seconds for r in records), 1),
                **({"reasons": problems} if problems else {}),
            }
            | _strict(records)
        )
        made = {n: info.provenance[n] for n in ("device", "machine", "python", "packages")}
    checks = [
        {"model": each.model, "compared": len(each.compared), "flips": each.flips()}
        | {"gaps": each.gaps()}
        for each in read_checks(results.folder)
    ]
    adjudicated = [asdict(each) for each in count_adjudicated(results)]
    ids = {side: " ".join(each) for side, each in queries.items()}
    return {
        "made_with": made,
        "queries": ids,
        "cells": cells,
        "precision": checks,
        **({"adjudicated": adjudicated} if adjudicated else {}),
    }


def _verdict(record: Record, metric: str) -> str:
    return "-" if record.status != "scored" else str(int(record.scores[metric]))


def _strict(records: Sequence[Record]) -> dict[str, str]:
    """Return the verdicts on whole chat responses, which hold more than the answer."""
    if not any(record.chat for record in records):
        return {}
    return {"strict": "".join(str(int(r.chat.strict_raw)) if r.chat else "-" for r in records)}


def cells_of(part: Part) -> Iterator[CellResult]:
    """Make the cells of a part anew, as far as its verdicts go."""
    for cell in part["cells"]:
        side = f"{cell['dataset']}/{cell['split']}/{cell['query_split']}"
        ids = part["queries"][side].split()
        info = CellInfo(
            **{name: cell[name] for name in _CELL},
            key=hashlib.sha256(
                json.dumps([cell[name] for name in (*_CELL, "spec")]).encode()
            ).hexdigest(),
            trained=True,
            partial=None,
            n_queries=len(ids),
            spec=cell["spec"],
        )
        yield CellResult(info, tuple(_records(cell, ids)))


def _records(cell: Mapping[str, Any], ids: Sequence[str]) -> Iterator[Record]:
    for id_, *verdicts in zip(ids, *(cell[name] for name in _METRICS), strict=True):
        answered = "-" not in verdicts
        scores = {name: v == "1" for name, v in zip(_METRICS, verdicts, strict=True)}
        yield Record(
            query_id=id_,
            exemplar_ids=(),
            shots=cell["shots"],
            coverage=0.0,
            prompt_sha256="",
            prompt_tokens=None,
            status="scored" if answered else "failed",
            scores=scores if answered else {},
            reason=None if answered else "not answered",
        )


def read_parts() -> dict[str, Part]:
    """Return all parts that are kept, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(PARTS.glob("*.json"))}


def gap_table(parts: Iterable[Part]) -> str:
    """Return the gaps of each model, benchmark and number of shots: both sides and pooled."""
    cells = [cell for part in parts for cell in cells_of(part)]
    points = analyze(frame_of(cells)).points
    sides: dict[tuple[str, str, int], dict[str, GapPoint]] = {}
    for point in points:
        sides.setdefault((point.benchmark, point.model, point.shots), {})[point.query_split] = point
    rows = [
        [
            *map(str, setting),
            *(f"{_share(found[s].a_id)} / {_share(found[s].a_ood)}" for s in ("test", "train")),
            *(_gap(found[side]) for side in ("test", "train", "pooled")),
        ]
        for setting, found in sides.items()
    ]
    head = ["benchmark", "model", "shots", "test ID / OOD", "train ID / OOD"]
    return _table([*head, "gap, test", "gap, train", "gap, pooled"], rows)


def control_table(zero: Part, shuffled: Part) -> str:
    """Return the right answers without exemplars, and with others' targets, by model."""
    counts: dict[tuple[str, str], dict[str, str]] = {}
    for part, title in ((zero, "no exemplars"), (shuffled, "shuffled targets, {}")):
        grouped = _grouped(part, ("dataset", "model", "condition"))
        for (dataset, model, condition), group in grouped.items():
            name = title.format(condition.upper())
            counts.setdefault((dataset, model), {})[name] = _counted("".join(group))
    names = list(dict.fromkeys(name for each in counts.values() for name in each))
    rows = [[*at, *(each.get(name, "-") for name in names)] for at, each in counts.items()]
    return _table(["benchmark", "model", *names], rows)


def selection_table(parts: Mapping[str, Part]) -> str:
    """Return exact match by strategy, beside that of Codex in Levy et al. 2023."""
    rows = []
    before: dict[str, str] = {}
    for name, (theirs, standard, template) in _LEVY.items():
        grouped = _grouped(parts[name], ("condition",))
        row = [f"`{name}` ({theirs})"]
        for condition, published in (("id", standard), ("ood", template)):
            found = "".join(grouped[condition,])
            past = before.get(condition)
            p_value = "-" if past is None else f"{_mcnemar(found, past):.2g}"
            row += [_percent(found), p_value, str(published)]
            before[condition] = found
        rows.append(row)
    over = "p, against the row above"
    return _table(
        ["selection", "ID", over, "Codex, standard", "OOD", over, "Codex, template"], rows
    )


def cost_table(parts: Mapping[str, Part]) -> str:
    """Return the requests, prompt tokens and answering time of each part and model."""
    rows = []
    for name, part in parts.items():
        for model in dict.fromkeys(cell["model"] for cell in part["cells"]):
            cells = [cell for cell in part["cells"] if cell["model"] == model]
            requests = sum(len(cell["raw"]) for cell in cells)
            tokens = sum(cell["prompt_tokens"] for cell in cells)
            minutes = sum(cell["seconds"] for cell in cells) / 60
            rows.append([name, model, f"{requests:,}", f"{tokens:,}", f"{minutes:.1f}"])
    return _table(["part", "model", "requests", "prompt tokens", "minutes"], rows)


def model_table(parts: Iterable[Part]) -> str:
    """Return the sha256 of the weights, the parameters and the precisions of each model."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for cell in (cell for part in parts for cell in part["cells"]):
        spec = cell["spec"]["model"]
        size = f"{cell['n_params']:,} ({cell['n_params_non_embedding']:,})"
        precision = ", ".join(filter(None, (spec["dtype"], spec.get("precision"))))
        found.setdefault((spec["gguf"], size), {})[precision] = cell["model"]
    rows = [
        ["/".join(dict.fromkeys(by.values())), size, "; ".join(by), f"`{digest}`"]
        for (digest, size), by in found.items()
    ]
    return _table(["model", "parameters (without embeddings)", "precision", "sha256"], rows)


def precision_table(parts: Iterable[Part]) -> str:
    """Return the requests that were run again in float32, and what changed."""
    rows = [
        [each["model"], str(each["compared"]), *map(str, each["flips"]), *map(_ratio, each["gaps"])]
        for part in parts
        for each in part["precision"]
    ]
    head = ["model", "run again", "right in float32 alone", "right as run alone"]
    return _table([*head, "their gap as run", "in float32"], rows)


def adjudicated_table(parts: Mapping[str, Part]) -> str:
    """Return the requests that adjudicated models asked again in float32."""
    rows = []
    for name, part in parts.items():
        for each in part.get("adjudicated", ()):
            again = _count(each["asked_again"], each["requests"])
            rows.append([name, each["model"], again, f"{each['rounding_bound']:.2f}"])
    return _table(["part", "model", "asked again in float32", "bound, in logits"], rows)


def version_table(parts: Iterable[Part]) -> str:
    """Return the versions of Python and of the packages that the parts were made with."""
    found: dict[str, dict[str, None]] = {}
    for made in (part["made_with"] for part in parts):
        for name, version in {"python": made["python"], **made["packages"]}.items():
            found.setdefault(name, {})[version] = None
    return _table(["package", "version"], ([name, ", ".join(by)] for name, by in found.items()))


def _grouped(part: Part, names: Sequence[str]) -> dict[tuple[Any, ...], list[str]]:
    """Return the raw verdicts of a part's cells, by some of the cells' fields."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for cell in part["cells"]:
        found.setdefault(tuple(cell[name] for name in names), []).append(cell["raw"])
    return found


def _counted(verdicts: str) -> str:
    return _count(verdicts.count("1"), len(verdicts))


def _count(some: int, of: int) -> str:
    return f"{some:,} of {of:,}"


def _percent(verdicts: str) -> str:
    """Return the share that is right with Wilson's interval of 95%, in percent."""
    right, n = verdicts.count("1"), len(verdicts)
    low, high = stats.binomtest(right, n).proportion_ci(method="wilson")
    return f"{100 * right / n:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _mcnemar(first: str, second: str) -> float:
    """Return the two-sided p-value of McNemar's exact test between verdicts on the same queries."""
    differ = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    won = sum(a == "1" for a, _ in differ)
    return float(stats.binomtest(won, len(differ)).pvalue) if differ else 1.0


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.2f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _gap(point: GapPoint) -> str:
    if point.gap is None:
        return "unresolved"
    flag = " (sides differ)" if point.flags else ""
    return f"{point.gap.value:.2f} [{point.gap.low:.2f}, {point.gap.high:.2f}]{flag}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def tables(parts: Mapping[str, Part]) -> dict[str, str]:
    """Return the tables of the page by the names of their marks; a part that is missing is said."""
    made: dict[str, tuple[Sequence[str], Callable[[], str]]] = {
        "gaps": (_GAPS, lambda: gap_table(parts[name] for name in _GAPS if name in parts)),
        "precision": (["largest"], lambda: precision_table(parts.values())),
        "adjudicated": ([], lambda: adjudicated_table(parts)),
        "chat": (_CHATS, lambda: gap_table(parts[name] for name in _CHATS if name in parts)),
        "controls": (
            ["zero_shots", "shuffled_targets"],
            lambda: control_table(parts["zero_shots"], parts["shuffled_targets"]),
        ),
        "selections": (list(_LEVY), lambda: selection_table(parts)),
        "models": ([], lambda: model_table(parts.values())),
        "versions": ([], lambda: version_table(parts.values())),
        "costs": ([], lambda: cost_table(parts)),
    }
    return {name: _made(parts, needed, table) for name, (needed, table) in made.items()}


def _made(parts: Mapping[str, Part], needed: Sequence[str], table: Callable[[], str]) -> str:
    missing = [name for name in needed if name not in parts]
    said = f"\nNot measured yet: {', '.join(missing)}.\n" if missing else ""
    some = needed in (_GAPS, _CHATS) and len(missing) < len(needed)
    return (table() if some or not missing else "") + said


def page(text: str, parts: Mapping[str, Part]) -> str:
    """Return the text of the page with its tables made anew."""
    for name, table in tables(parts).items():
        text, n = marked(name).subn(lambda _, table=table: table, text)
        assert n == 1, f"{PAGE}: {n} tables of {name}"
    return text


def main(arguments: Sequence[str]) -> None:
    """Keep the results that are named, or write the page's tables."""
    if arguments[:1] == ["keep"]:
        for folder in map(Path, arguments[1:]):
            part = kept(open_results(folder))
            path = PARTS / f"{folder.name}.json"
            path.write_text(json.dumps(part, indent=1) + "\n", encoding="utf-8")
        return
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), read_parts()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
