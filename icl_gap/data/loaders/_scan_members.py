"""The SCAN commands of the random and MCD splits, which no rule describes.

`_scan_members.json` has one entry a split: `train` and `test`, each a bitmap over the numbers of
`scan.commands`. Bit `n % 8` (from the least significant) of byte `n // 8` is set if command n is on
that side; the bytes are written in base64. A command on neither side belongs to the published
development set, which is not used.

`members_of` makes such an entry from the published files (`IN: … OUT: …` lines).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

SPLITS_BY_MEMBERSHIP = ("simple", "mcd1", "mcd2", "mcd3")
"""The random split of Lake & Baroni 2018; MCD splits: Keysers et al. 2020, arXiv 1912.09713."""

N_COMMANDS = 20910


def pack_members(numbers: Iterable[int]) -> str:
    """Return a set of command numbers as a bitmap in base64."""
    bits = bytearray((N_COMMANDS + 7) // 8)
    for number in numbers:
        bits[number // 8] |= 1 << number % 8
    return base64.b64encode(bits).decode("ascii")


def unpack_members(text: str) -> list[int]:
    """Return the command numbers of a bitmap in base64, in order."""
    bits = base64.b64decode(text, validate=True)
    return [number for number in range(N_COMMANDS) if bits[number // 8] >> number % 8 & 1]


def shipped_members(split: str) -> tuple[list[int], list[int]]:
    """Return the command numbers of train and of test.

    Args:
        split: One of `SPLITS_BY_MEMBERSHIP`.
    """
    entry = _shipped()[split]
    return unpack_members(entry["train"]), unpack_members(entry["test"])


@cache
def _shipped() -> dict[str, dict[str, str]]:
    text = Path(__file__).with_suffix(".json").read_text(encoding="ascii")
    entries: dict[str, dict[str, str]] = json.loads(text)
    return entries


def members_of(
    train: Iterable[str], test: Iterable[str], number_of: Mapping[str, int]
) -> dict[str, str]:
    """Return a split's entry from the lines of its published files.

    Args:
        train: Lines `IN: <command> OUT: <actions>`.
        test: As `train`.
        number_of: The number of each command.
    """
    sides = {"train": train, "test": test}
    return {
        side: pack_members(
            number_of[line.removeprefix("IN: ").partition(" OUT: ")[0]] for line in lines
        )
        for side, lines in sides.items()
    }
