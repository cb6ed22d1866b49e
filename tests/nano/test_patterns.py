from itertools import product

from icl_gap import load_benchmark
from icl_gap.data.loaders import scan
from icl_gap.nano.patterns import held_out, pattern_of, patterns
from icl_gap.nano.vocabulary import SLOT_ACTIONS, SLOT_WORDS

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


def test_what_is_held_out_covers_both_test_sets_and_no_more() -> None:
    sides = [load_benchmark("scan", split) for split in ("mcd1", "length")]
    tests = {pattern_of(example.source) for side in sides for example in side.test}
    assert tests == held_out()
    for side in sides:
        assert not {pattern_of(e.source) for e in side.test} & {
            pattern_of(e.source) for e in side.train
        }
    assert len(held_out()) == 170
