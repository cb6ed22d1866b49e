"""COGS: sentences and their logical forms, with a generalization set of 21 cases.

Source: Kim & Linzen 2020, arXiv 2010.05465. Each line of a file is a sentence, a logical form and
the case that it belongs to, separated by tabs.

The categories of CoFe (An et al. 2023, arXiv 2305.04835) group the 21 cases by the recombined
parts. CoFe itself is a sample of them, 4,785 rows, in a notation of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from icl_gap.data.examples import Pair, Sides, one_line, sides_from_pairs
from icl_gap.data.loaders import Loader, SplitInputs
from icl_gap.data.text_files import read_lines
from icl_gap.errors import DataError, Place

WHOLE = frozenset({"gen", "iid"})
"""Splits that test the whole file. Any other split tests a category or the case of its name."""
CATEGORIES = {
    "prim_subs": frozenset(
        {
            "obj_to_subj_common",
            "obj_to_subj_proper",
            "only_seen_as_transitive_subj_as_unacc_subj",
            "only_seen_as_unacc_subj_as_obj_omitted_transitive_subj",
            "only_seen_as_unacc_subj_as_unerg_subj",
            "prim_to_obj_common",
            "prim_to_obj_proper",
            "prim_to_subj_common",
            "prim_to_subj_proper",
            "subj_to_obj_common",
            "subj_to_obj_proper",
        }
    ),
    "prim_alte": frozenset(
        {
            "active_to_passive",
            "do_dative_to_pp_dative",
            "obj_omitted_transitive_to_transitive",
            "passive_to_active",
            "pp_dative_to_do_dative",
            "prim_to_inf_arg",
            "unacc_to_transitive",
        }
    ),
    "phra_reco": frozenset({"obj_pp_to_subj_pp"}),
    "long_chain": frozenset({"cp_recursion"}),
    "deep_nest": frozenset({"pp_recursion"}),
}
"""CoFe's categories: a noun in another role (primitive substitution), a verb in another sentence
structure (primitive structural alternation), a prepositional phrase on another role (phrase
recombination), nested sentential complements (longer chain) and nested prepositional phrases
(deeper nesting)."""


def read_cogs(inputs: SplitInputs) -> Sides:
    """Read a split; its test side has the rows of the cases that it tests.

    Raises:
        DataError: A line has not three fields.
    """
    train, test = inputs.files
    split = inputs.split
    cases = None if split in WHOLE else CATEGORIES.get(split, frozenset({split}))
    return sides_from_pairs("cogs", _pairs(train, None), _pairs(test, cases))


def _pairs(path: Path, cases: frozenset[str] | None) -> Iterator[Pair]:
    for number, line in enumerate(read_lines(path), start=1):
        fields = [one_line(field) for field in line.split("\t")]
        if len(fields) != 3 or not all(fields):
            raise DataError(
                "not a sentence, its logical form and its case",
                value=line,
                allowed="three fields with a tab between them",
                place=Place(path, number),
            )
        if cases is None or fields[2] in cases:
            yield fields[0], fields[1]


LOADER = Loader(read_cogs, split_files=("train", "test"))
