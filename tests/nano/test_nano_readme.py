"""`icl_gap/nano/README.md`: its blocks are what they seem, its numbers those of the cards."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from nano_cards import SHOWN, exact_match

import icl_gap
from icl_gap.evaluation.config import SweepSpec
from icl_gap.models import expand
from icl_gap.models.shipped import shipped_models
from icl_gap.nano.model_cards import write_model_cards
from icl_gap.nano.patterns import held_out, patterns
from icl_gap.nano.train import argument_parser
from icl_gap.specs import check_spec, shipped

README = (Path(icl_gap.__file__).parent / "nano" / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def test_it_is_short() -> None:
    assert len(README.split()) < 600


def test_the_sweep_is_one() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    spec = check_spec(yaml.safe_load(block), SweepSpec)
    assert len([model for entry in spec.models for model in expand(entry)]) == 3


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_are_understood(command: list[str]) -> None:
    match command:
        case ["python", "-m", "icl_gap.nano.train", *arguments]:
            assert argument_parser().parse_args(arguments).out == Path("models")
        case ["python", "-m", "icl_gap.nano.model_cards", "results/nano"]:
            assert callable(write_model_cards)
        case ["icl-gap", "run", sweep]:
            assert (shipped("sweeps") / Path(sweep).name).is_file()
        case _:
            pytest.fail(f"not checked: {command}")


def test_every_model_is_listed_with_the_numbers_of_its_card() -> None:
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in README.splitlines()
        if line.startswith("| `nano")
    ]
    sizes = {name: re.sub(r"-seed\d+$", "", name) for name in shipped_models()}
    assert sorted(row[0] for row in rows) == sorted(set(sizes.values()))
    for first, _, *shown in rows:
        trainings = sorted(name for name, size in sizes.items() if size == first)
        for text, at in zip(shown, SHOWN, strict=True):
            numbers = [float(number) for number in text.split("/")]
            exact = [exact_match(name, *at) for name in trainings]
            assert numbers == pytest.approx(exact, abs=0.00501), first


def test_the_patterns_are_counted_right() -> None:
    assert f"SCAN has {len(patterns())}" in README
    assert f"the {len(held_out())} patterns" in README
