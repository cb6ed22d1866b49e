from itertools import chain, product

from icl_gap import load_benchmark
from icl_gap.data import scan
from icl_gap.nano.patterns import forms, held_out, pattern_of, patterns
from icl_gap.nano.words import SLOT_ACTIONS, SLOT_WORDS

VERBS, DIRECTIONS = range(4), range(4, 6)


def test_the_patterns_with_scans_own_words_give_scan_back() -> None:
    made = {}
    for pattern in patterns():
        used = sorted({slot for slot in pattern.source if isinstance(slot, int)})
        choices = [DIRECTIONS if slot % 2 else VERBS for slot in used]
        for chosen in product(*choices):
            filled = dict(zip(used, chosen, strict=True))
            command = " ".join(
                SLOT_WORDS[filled[word]] if isinstance(word, int) else word
                for word in pattern.source
            )
            made[command] = " ".join(SLOT_ACTIONS[filled[slot]] for slot in pattern.target)
    published = {
        command: " ".join(actions).replace("I_", "") for command, actions in scan.commands()
    }
    assert made == published


def test_patterns_count_their_commands() -> None:
    assert len(patterns()) == len({pattern.name for pattern in patterns()}) == 903
    assert sum(pattern.commands for pattern in patterns()) == 20_910
    counts = {pattern.name: pattern.commands for pattern in patterns()}
    assert counts["VERB around DIRECTION twice"] == 8
    assert counts["turn DIRECTION and VERB"] == 8


def test_a_pattern_leaves_verbs_and_directions_open() -> None:
    name = pattern_of("jump around left twice after turn right")
    assert name == "VERB around DIRECTION twice after turn DIRECTION"


def test_clauses_make_up_a_pattern() -> None:
    programs = {form.name: form.target for form in forms()}
    assert len(programs) == 21
    for pattern in patterns():
        parts = [[slot + start for slot in programs[form]] for form, start in pattern.clauses]
        assert tuple(chain.from_iterable(parts)) == pattern.target


def test_the_default_family_sees_what_both_train_sets_share_and_one_word_commands() -> None:
    sides = [load_benchmark("scan", split) for split in ("mcd1", "length")]
    seen = [{pattern_of(example.source) for example in side.train} for side in sides]
    assert {pattern.name for pattern in patterns()} - held_out() == (seen[0] & seen[1]) | {"VERB"}
    tests = {pattern_of(example.source) for side in sides for example in side.test}
    assert tests - {"VERB"} < held_out()
    assert len(held_out()) == 500


def test_the_default_family_never_sees_the_clauses_that_are_new_in_a_test_set() -> None:
    seen = {form for p in patterns() if p.name not in held_out() for form, _ in p.clauses}
    new = {form.name for form in forms()} - seen
    assert new == {
        "VERB DIRECTION",
        "VERB around DIRECTION twice",
        "VERB around DIRECTION thrice",  # 24 actions, beyond the train set of the length split
        "VERB opposite DIRECTION thrice",
        "turn DIRECTION",
        "turn around DIRECTION twice",
        "turn opposite DIRECTION thrice",
    }


def test_of_the_test_sets_one_command_has_a_pattern_that_is_not_held_out() -> None:
    given_away = [
        example.source
        for split in ("mcd1", "length")
        for example in load_benchmark("scan", split).test
        if pattern_of(example.source) not in held_out()
    ]
    assert len(given_away) == 1
    assert pattern_of(given_away[0]) == "VERB"
