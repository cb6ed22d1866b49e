"""The table of the shipped benchmarks in `datasets/README.md`.

`python -m icl_gap.data.card_table` writes it anew from the cards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from icl_gap.data.cards import DatasetCard, SplitSpec, list_cards
from icl_gap.files import write_atomically
from icl_gap.specs import shipped

START, END = "<!-- cards -->\n", "<!-- end of cards -->\n"
"""The lines of the README before and after the table."""
_MOST_NAMES = 4
_SOURCES = {
    "grammar": "generated",
    "local": "yours",
    "url": "fetched",
    "hub": "fetched",
}


def card_table(cards: Iterable[DatasetCard]) -> str:
    """Return a Markdown table with one row a card."""
    head = ("name", "benchmark", "splits", "train/test", "files")
    lines = [head, ("---",) * len(head), *map(_row, cards)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_card_table(text: str, table: str) -> str:
    """Return the text of a README with the table between its markers replaced."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{table}\n{END}{rest.partition(END)[2]}"


def write_card_table() -> None:
    """Write the table of the shipped cards into `datasets/README.md`."""
    readme = shipped("datasets") / "README.md"
    text = with_card_table(readme.read_text(encoding="utf-8"), card_table(list_cards()))
    write_atomically(readme, [text.encode()])


def _row(card: DatasetCard) -> tuple[str, ...]:
    sources = dict.fromkeys(_SOURCES[source.kind] for source in card.sources)
    return (
        f"`{card.name}`",
        card.title.partition(": ")[2] or card.title,
        _split_names(list(card.splits), card.default_split),
        _sizes(card.splits[card.default_split]),
        "/".join(sources),
    )


def _split_names(names: Sequence[str], default: str) -> str:
    shown = names if len(names) <= _MOST_NAMES else [default]
    marked = [f"**{name}**" if name == default else name for name in shown]
    more = len(names) - len(shown)
    return ", ".join(marked) + (f" and {more} more" if more else "")


def _sizes(split: SplitSpec) -> str:
    if split.train is None or split.test is None:
        return "any"
    return f"{split.train:,}/{split.test:,}"


if __name__ == "__main__":
    write_card_table()
