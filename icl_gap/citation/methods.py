"""`cite`: the methods of a study in a paragraph, from its results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icl_gap.analysis import CONFIDENCE, RESAMPLES, format_count
from icl_gap.citation.bibliography import (
    SOFTWARE_KEY,
    Bibliography,
    Source,
    entry,
    parse_sources,
)
from icl_gap.data import load_card
from icl_gap.errors import AnalysisError, InputError
from icl_gap.metrics import METRICS
from icl_gap.models.shipped import shipped_models
from icl_gap.models.zoo import zoo
from icl_gap.results import Results, open_results
from icl_gap.schema import CellInfo, Metric
from icl_gap.text import brief, escape_latex

_PROTOCOL = "Hosseini et al. 2022, arXiv 2211.08473"
_SELECTIONS: Mapping[str, tuple[str, str]] = {
    "oracle_coverage": ("to cover the words of the query and the tokens of its target", _PROTOCOL),
    "random": ("at random", ""),
    "shared": ("at random, one set for all queries", ""),
    "bm25": ("by BM25 between sources", ""),
    "embedding": ("by the similarity of sentence embeddings", ""),
    "length": ("by the length of their sources", ""),
    "dpp": ("by a determinantal point process", ""),
    "cover_utterance": (
        "to cover the words of the query",
        "Levy et al. 2022, arXiv 2212.06800",
    ),
    "cover_ls": (
        "to cover the local structures of the target",
        "Levy et al. 2022, arXiv 2212.06800",
    ),
}
"""How each strategy selects exemplars, and its source."""
_CONDITIONS = {
    "id": "from the query's own side of the split (ID)",
    "ood": "from the other side (OOD)",
    "ood_matched": "from the other side, matched to the coverage of the ID exemplars",
}
_WITH_WEIGHTS = frozenset({"transformers", "random_init"})
"""Kinds of models that run here."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A paragraph on the methods of a study, and the BibTeX entries that it cites."""

    methods: str
    r"""The paragraph in LaTeX, with `\cite`."""
    bibtex: str
    notes: tuple[str, ...]
    """What the results do not say, or are not whole in."""

    def __repr__(self) -> str:
        return brief("Citation", f"{self.bibtex.count('@')} entries", self.methods)


def cite(results: Results | str | Path, *, metric: Metric = "raw") -> Citation:
    """Describe the methods of a study, with its own numbers and its literature.

    Everything comes from the results, the cards of their benchmarks and the zoo. The estimator is
    that of `analyze` with its defaults.

    Args:
        results: A results folder, opened, or its path.
        metric: The match that makes an answer right.

    Raises:
        AnalysisError: No cell is finished.
        InputError: There is no such metric.
        StoreError: The folder holds no sweep.
    """
    found = open_results(results)
    if metric not in METRICS:
        raise InputError("unknown metric", value=metric, allowed=tuple(METRICS))
    if not found.infos:
        raise AnalysisError("there are no finished cells to describe; run the sweep first")
    books, notes = Bibliography(), list[str]()
    if found.unfinished:
        notes.append(f"{len(found.unfinished)} cells of the sweep are not finished, nor described")
    sentences = (
        _opening(found.infos, books),
        _benchmarks(found, books, notes),
        _models(found.infos, books, notes),
        _exemplars(found, books),
        _queries(found.infos),
        _scoring(found.infos, metric),
        _estimator(found.infos),
        _software(found.infos),
    )
    entries = [_software_entry(found.infos), *books.entries()]
    return Citation(" ".join(sentences), "\n\n".join(entries), tuple(notes))


def _opening(infos: Sequence[CellInfo], books: Bibliography) -> str:
    version = escape_latex(_listed(_versions(infos, "icl-gap")))
    return (
        "We measured the compositional generalization gap of in-context learning"
        f"{books.cite(parse_sources(_PROTOCOL))} with icl\\_gap{version and f' {version}'}"
        f"~\\cite{{{SOFTWARE_KEY}}}."
    )


def _benchmarks(results: Results, books: Bibliography, notes: list[str]) -> str:
    splits = _grouped(results.infos, lambda info: (info.dataset, info.split))
    entries = {str(each.get("name")): each for each in results.sweep.get("datasets", ())}
    parts = []
    for (name, split), infos in splits.items():
        sources = _card_sources(name, entries)
        if not sources:
            notes.append(f"no paper is known of the benchmark {name}")
        partial = f", {infos[0].partial}" if infos[0].partial else ""
        part = f"{escape_latex(name)} (split {escape_latex(split + partial)})"
        parts.append(part + books.cite(sources))
    noun = "benchmark was" if len(parts) == 1 else "benchmarks were"
    return f"The {noun} {_listed(parts)}."


def _card_sources(name: str, entries: Mapping[str, Any]) -> tuple[Source, ...]:
    """Return the papers of a benchmark; none where its card is gone or names none."""
    paths = [each for each in entries if each.endswith((".yaml", ".yml"))]
    for each in (name, *paths):
        try:
            card = load_card(each)
        except InputError:
            continue
        if card.name == name:
            return parse_sources(card.citation)
    return ()


def _models(infos: Sequence[CellInfo], books: Bibliography, notes: list[str]) -> str:
    groups = _grouped(infos, lambda info: (info.family, info.trained))
    parts = [_family(some, books, notes) for some in groups.values()]
    return f"We tested {_listed(parts)}."


def _family(infos: Sequence[CellInfo], books: Bibliography, notes: list[str]) -> str:
    """Return the models of one family in words."""
    names = {info.model: info.n_params for info in infos}
    listed = _listed([escape_latex(name) for name in names])
    first = infos[0]
    if first.spec.get("model", {}).get("kind") == "nearest_exemplar":
        return f"the baseline {listed}, which answers with the target of the most similar exemplar"
    cited = _cited_family(first, books, notes) if first.trained else ""
    sizes = [size for size in names.values() if size is not None]
    if not sizes:
        return f"{listed}{cited}, of unknown size"
    low, high = format_count(min(sizes)), format_count(max(sizes))
    numbers = f"{low if low == high else f'{low} to {high}'} parameters"
    seeds = {info.training_seed for info in infos} - {None}
    numbers += f", {len(seeds)} training seeds" if len(seeds) > 1 else ""
    count = f"{len(names)} model{'s' if len(names) > 1 else ''}"
    state = "" if first.trained else " with random weights"
    return f"{count}{state} of the family {escape_latex(first.family)}{cited} ({numbers})"


def _cited_family(info: CellInfo, books: Bibliography, notes: list[str]) -> str:
    """Return the citation of a family; that of the package for models which ship with it."""
    if info.model in shipped_models():
        return f"~\\cite{{{SOFTWARE_KEY}}}"
    about = zoo().get(info.family)
    sources = parse_sources(about.source) if about else ()
    if not sources:
        notes.append(f"no paper is known of the models of the family {info.family}")
    return books.cite(sources)


def _exemplars(results: Results, books: Bibliography) -> str:
    infos = results.infos
    shots = _numbers(info.shots for info in infos)
    seeds = len({info.seed for info in infos})
    conditions = _grouped(infos, lambda info: info.condition)
    samplers = [info.spec.get("sampler", {}) for info in infos]
    chosen = [
        f"{text}{books.cite(parse_sources(source))}"
        for name in dict.fromkeys(each.get("selection") for each in samplers)
        if name is not None
        for text, source in [_SELECTIONS.get(name, (f"by {escape_latex(name)}", ""))]
    ]
    plural = "" if shots == "1" else "s"
    text = f"A prompt held {shots} exemplar{plural}"
    text += f" {_listed([_CONDITIONS[each] for each in conditions], 'or')}"
    text += f", chosen {_listed(chosen)}" if chosen else ""
    text += f", under {seeds} random seed{'s' if seeds > 1 else ''}"
    if any(each.get("hold_out") == "template" for each in samplers):
        text += "; no exemplar had the program template of its query"
    if control := results.sweep.get("control"):
        text += f"; as a control, `{escape_latex(control)}'"
    return f"{text}."


def _queries(infos: Sequence[CellInfo]) -> str:
    sizes = {(f"{info.dataset}/{info.split}", info.query_split): info.n_queries for info in infos}
    by_side = _grouped(sizes, lambda key: key[1])
    if all(len({sizes[key] for key in keys}) == 1 for keys in by_side.values()):
        each = [f"{sizes[keys[0]]:,} queries of the {side} side" for side, keys in by_side.items()]
        several = len({benchmark for benchmark, _ in sizes}) > 1
        text = f"We asked {_listed(each)}" + (" of each benchmark" if several else "")
    else:
        each = [f"{n:,} of the {side} side of {escape_latex(b)}" for (b, side), n in sizes.items()]
        text = f"Queries were {_listed(each)}"
    requests = sum(info.n_queries for info in infos)
    return f"{text}, the same ones under all conditions, {requests:,} requests in all."


def _scoring(infos: Sequence[CellInfo], metric: Metric) -> str:
    match = METRICS[metric].name
    refused = ((info.model, info.provenance.get("left_out", ())) for info in infos)
    sampled = dict.fromkeys(model for model, names in refused if "temperature" in names)
    text = "Decoding was greedy"
    if sampled:
        named = _listed([escape_latex(model) for model in sampled])
        text += f", apart from {named}, whose servers take no temperature of 0 and sample"
    text += f". A response counts as right by {match} with the target."
    if rules := [f"`{escape_latex(rule)}'" for rule in _distinct(infos, "answer")]:
        text += (
            " Models with a chat endpoint were sent messages, and the rule for the answer in "
            f"their responses was {_listed(rules)}."
        )
    return text


def _estimator(infos: Sequence[CellInfo]) -> str:
    samplers = [info.spec.get("sampler", {}) for info in infos]
    shared = any(each.get("selection") == "shared" for each in samplers)
    resampled = "queries and seeds" if shared else "queries, each with all its requests"
    return (
        r"The relative gap is $(A_{\mathrm{id}} - A_{\mathrm{ood}}) / A_{\mathrm{id}}$ of the two "
        rf"accuracies; intervals are {100 * CONFIDENCE:g}\% percentile intervals of a paired "
        f"bootstrap with {RESAMPLES:,} resamples of {resampled}. A gap counts as unresolved where "
        r"the half-width of the interval of $A_{\mathrm{id}}$ is half of it or more. Lines of the "
        "gap against the logarithm of scale allow models to scatter about them."
    )


def _software(infos: Sequence[CellInfo]) -> str:
    """Return the precision, the machines and the software of the models that ran."""
    models = [info.spec.get("model", {}) for info in infos]
    kinds = {str(each.get("kind")) for each in models}
    names = ["numpy", *(["openai"] if "openai" in kinds else [])]
    names += ["torch", "transformers", "tokenizers"] if kinds & _WITH_WEIGHTS else []
    names += ["bitsandbytes"] if any(each.get("quantization") for each in models) else []
    found = [("Python", _distinct(infos, "python"))]
    found += [(name, _versions(infos, name)) for name in names]
    software = [f"{name} {escape_latex(_listed(some))}" for name, some in found if some]
    if not software:
        return "The results do not say which software was used."
    precisions = dict.fromkeys(_precision(each) for each in models if each.get("dtype"))
    machines = _distinct(infos, "machine")
    text = "Models ran" + (f" in {_listed([*precisions])}" if precisions else "")
    if devices := _distinct(infos, "device"):
        text += f" on {escape_latex(_listed(devices))}"
        text += f" ({escape_latex(_listed(machines))})" if machines else ""
    return f"{text} under {_listed(software)}."


def _precision(model: Mapping[str, Any]) -> str:
    """Return the precision that a model's entry names."""
    adjudicated = model.get("precision") == "adjudicated"
    return f"{model['dtype']}{' with doubtful verdicts in float32' if adjudicated else ''}"


def _software_entry(infos: Sequence[CellInfo]) -> str:
    """Return the entry of this package, with the versions and commits that results come from."""
    fields = {"author": r"{The icl\_gap authors}", "title": r"{icl\_gap}"}
    if versions := _versions(infos, "icl-gap"):
        fields["version"] = escape_latex(_listed(versions))
    if commits := _distinct(infos, "git_commit"):
        fields["note"] = f"commit {escape_latex(_listed(commits))}"
    return entry("software", SOFTWARE_KEY, fields)


def _versions(infos: Sequence[CellInfo], package: str) -> list[str]:
    """Return the versions of a package that results were made with, in their order."""
    found = (info.provenance.get("packages", {}).get(package) for info in infos)
    return list(dict.fromkeys(str(each) for each in found if each))


def _distinct(infos: Sequence[CellInfo], key: str) -> list[str]:
    return list(dict.fromkeys(str(p[key]) for p in (i.provenance for i in infos) if p.get(key)))


def _grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    """Return items by their key, in the order of their first."""
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _numbers(values: Iterable[int]) -> str:
    return _listed([str(value) for value in sorted(set(values))], "or")


def _listed(parts: Sequence[str], word: str = "and") -> str:
    """Return parts as an enumeration: `a, b and c`."""
    return f" {word} ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
