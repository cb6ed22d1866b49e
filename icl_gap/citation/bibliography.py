"""BibTeX entries of the sources that cards and the zoo name, such as `Lake & Baroni 2018, …`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from string import ascii_lowercase

from icl_gap.citation.titles import TITLES
from icl_gap.text import escape_latex

_SOURCE = re.compile(
    r"(?:[^:]*: |.*\bafter )?"
    r"(?P<authors>\D+?) (?P<year>\d{4})"
    r"(?:, (?!arXiv)(?P<title>[^;]+?))?"
    r"(?:, arXiv (?P<arxiv>\d{4}\.\d{4,5}))?"
    r"(?: \([^)]*\))?"
)
SOFTWARE_KEY = "icl-gap"
"""Key of the entry of this package."""


@dataclass(frozen=True, slots=True)
class Source:
    """A paper, as far as its citation tells."""

    authors: str
    """As in `Lake & Baroni`, `Zhang et al.` or `Qwen team`."""
    year: str
    title: str | None
    arxiv: str | None
    """Number of its preprint."""


def parse_sources(citation: str) -> tuple[Source, ...]:
    """Return the papers that the citation of a card, or the source of a family, names.

    Args:
        citation: Papers as `AUTHORS YEAR, TITLE, arXiv NUMBER`, separated by semicolons; title
            and number may be missing. Text of another form names no paper.
    """
    found = (_SOURCE.fullmatch(each.strip()) for each in citation.split(";"))
    return tuple(
        Source(each["authors"], each["year"], _title(each["arxiv"], each["title"]), each["arxiv"])
        for each in found
        if each is not None
    )


def _title(arxiv: str | None, stated: str | None) -> str | None:
    return TITLES.get(arxiv or "", stated)


class Bibliography:
    """Sources with a key each, in the order in which they are first cited."""

    def __init__(self) -> None:
        self._keys: dict[Source, str] = {}

    def cite(self, sources: Iterable[Source]) -> str:
        r"""Return a LaTeX command that cites some sources, after a tie; empty without any."""
        keys = [self._key(source) for source in dict.fromkeys(sources)]
        return rf"~\cite{{{','.join(keys)}}}" if keys else ""

    def _key(self, source: Source) -> str:
        if source not in self._keys:
            first = re.split(r" et al\.| & |,", source.authors)[0]
            stem = re.sub(r"[^a-z]", "", first.lower()) + source.year
            taken = set(self._keys.values())
            ends = ("", *ascii_lowercase[1:])
            self._keys[source] = next(stem + end for end in ends if stem + end not in taken)
        return self._keys[source]

    def entries(self) -> Iterator[str]:
        """Yield the BibTeX entries of all sources."""
        for source, key in self._keys.items():
            fields = {"author": _authors(source.authors), "year": source.year}
            if source.title is not None:
                fields["title"] = f"{{{escape_latex(source.title)}}}"
            if source.arxiv is not None:
                fields |= {"eprint": source.arxiv, "archiveprefix": "arXiv"}
                fields["url"] = f"https://arxiv.org/abs/{source.arxiv}"
            yield entry("misc", key, fields)


def entry(kind: str, key: str, fields: dict[str, str]) -> str:
    """Return a BibTeX entry.

    Args:
        kind: Its type, e.g. `misc`.
        key: Its key.
        fields: Its fields, in LaTeX.
    """
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}"


def _authors(text: str) -> str:
    """Return authors as BibTeX has them; the name of a team stays in one piece."""
    if text.endswith(" et al."):
        return f"{escape_latex(text.removesuffix(' et al.'))} and others"
    if " & " in text:
        return " and ".join(map(escape_latex, text.split(" & ")))
    return f"{{{escape_latex(text)}}}"
