"""Details of a run: requests without a score, models, benchmarks, software and machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from icl_gap.evaluation.texts import SweepTexts
from icl_gap.schema import CellInfo
from icl_gap.text import shots_text


@dataclass(slots=True)
class RunDetails:
    """The details of a run, collected cell by cell."""

    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of requests without a score, by status and cell."""
    settings: Counter[tuple[tuple[str, str], ...]] = field(default_factory=Counter)
    """Number of cells by machine, versions and commit."""
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    benchmarks: dict[str, dict[str, str]] = field(default_factory=dict)
    missing_texts: dict[str, None] = field(default_factory=dict)
    """Sentences about benchmarks whose texts are missing."""
    seeds: set[int] = field(default_factory=set)
    started: set[str] = field(default_factory=set)
    cells: int = 0

    def add(self, info: CellInfo, statuses: Counter[str], texts: SweepTexts) -> None:
        """Add a cell.

        Args:
            info: The cell.
            statuses: The number of its requests with each status.
            texts: The texts of the benchmarks at hand.
        """
        self.cells += 1
        self.seeds.add(info.seed)
        place = f"{info.dataset}/{info.split} {info.model}, {shots_text(info.shots)}"
        for status, n in statuses.items():
            if status != "scored":
                self.left_out[status, place] += n
        self.settings[tuple(_setting(info.provenance))] += 1
        if started := info.provenance.get("started"):
            self.started.add(str(started))
        why = texts.why_not(info)
        if why is not None:
            self.missing_texts[why] = None
        self.models.setdefault(info.model, _model(info))
        benchmark = f"{info.dataset}/{info.split}"
        self.benchmarks.setdefault(benchmark, _benchmark(info, in_page=why is None))

    @property
    def left_out_rows(self) -> list[dict[str, str]]:
        """RequestData without a score, as rows of a table."""
        return [
            {"status": status, "where": place, "requests": f"{n:,}"}
            for (status, place), n in self.left_out.items()
        ]

    @property
    def setting_rows(self) -> list[list[tuple[str, str]]]:
        """The settings, each with its number of cells."""
        return [[*setting, ("cells", f"{n:,}")] for setting, n in self.settings.items()]


def _setting(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the software and machine of a cell, without times, which differ for each cell."""
    settings = []
    for name, value in provenance.items():
        if name == "started":
            continue
        settings.append((name.replace("_", " "), _flat(value)))
    return settings


def _model(info: CellInfo) -> dict[str, str]:
    identity = info.spec.get("model")
    parts = identity if isinstance(identity, dict) else {}
    return {
        "model": info.model + ("" if info.trained else " (untrained)"),
        "family": info.family,
        "parameters": "-" if info.n_params is None else f"{info.n_params:,}",
        "outside embeddings": "-"
        if info.n_params_non_embedding is None
        else f"{info.n_params_non_embedding:,}",
        "identity": "; ".join(f"{name}: {_flat(value)}" for name, value in parts.items()),
    }


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(each)}" for name, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def _benchmark(info: CellInfo, *, in_page: bool) -> dict[str, str]:
    dataset = info.spec.get("dataset")
    known = dataset if isinstance(dataset, dict) else {}
    return {
        "benchmark": f"{info.dataset}/{info.split}",
        "part used": info.partial or "whole",
        "fingerprint (sha256)": str(known.get("fingerprint", "-")),
        "texts in this page": "yes" if in_page else "no",
    }
