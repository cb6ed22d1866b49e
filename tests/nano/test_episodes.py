import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.nano.episodes import Batch, Episodes
from icl_gap.nano.patterns import held_out, patterns
from icl_gap.nano.scan_tokenizer import build_tokenizer, scan_template
from icl_gap.nano.training_recipe import LEVELS, Level, Recipe
from icl_gap.nano.vocabulary import ACTIONS, GRAMMAR, SLOT_ACTIONS, SLOT_WORDS, WORDS
from icl_gap.prompts import render
from icl_gap.schema import Example, Exemplars

TOKENIZER = build_tokenizer(scan_template())
TIMES = {"twice": 2, "thrice": 3}


def encode(text: str) -> list[int]:
    return TOKENIZER.encode(text).ids


ALL = Episodes(patterns(), scan_template(), encode)
DEFAULT = Episodes(Recipe("codegen", "s").patterns(), scan_template(), encode)


def draw(episodes: Episodes, seed: int, **changes: float) -> Batch:
    asked = {"rows": 2, "length": 600, "longest": 48} | changes
    shares = {share: asked.pop(share, 0.0) for share in ("repeats", "few")}
    return episodes.draw(np.random.default_rng(seed), Level(**asked), **shares)


def text_of(tokens: np.ndarray) -> str:
    return TOKENIZER.decode(tokens.tolist(), skip_special_tokens=False)


def items_of(tokens: np.ndarray) -> list[tuple[str, str]]:
    """The whole items of a row, as pairs of a command and its answer."""
    return re.findall(r"Command: (.*)\nActions: (.*)\n\n", text_of(tokens))


def clauses_of(command: str) -> list[list[str]]:
    """The clauses of a command in the order in which they are carried out."""
    first, joint, second = re.fullmatch(r"(.*?)(?: (and|after) (.*))?", command).groups()
    clauses = [clause.split() for clause in (first, second) if clause]
    return clauses[::-1] if joint == "after" else clauses


def roles_of(clause: list[str]) -> tuple[str | None, str | None]:
    """The verb and the direction of a clause, whatever they are called."""
    verb = None if clause[0] == "turn" else clause[0]
    rest = [word for word in clause[1:] if word not in GRAMMAR]
    return verb, rest[0] if rest else None


def carry_out(clause: list[str], lexicon: dict[str, str]) -> list[str]:
    verb, direction = roles_of(clause)
    turn = [lexicon[direction]] if direction else []
    act = [lexicon[verb]] if verb else []
    if "around" in clause:
        once = (turn + act) * 4
    elif "opposite" in clause:
        once = turn * 2 + act
    else:
        once = turn + act
    return once * TIMES.get(clause[-1], 1)


def lexicon_of(items: list[tuple[str, str]]) -> dict[str, str]:
    """What the words mean, found by trying: items are few, and so are meanings."""
    known: dict[str, str] = {}
    for _ in range(len(items)):
        for command, answer in items:
            actions, place = answer.split(), 0
            for clause in clauses_of(command):
                verb, direction = roles_of(clause)
                marks = {verb: "<verb>", direction: "<direction>"}
                shape = carry_out(clause, {w: m for w, m in marks.items() if w})
                for mark, action in zip(shape, actions[place:], strict=False):
                    known.setdefault(verb if mark == "<verb>" else direction, action)
                place += len(shape)
    return known


@given(seed=st.integers(0, 10**6))
def test_an_episode_is_a_prompt_whose_answers_follow_from_one_lexicon(seed: int) -> None:
    batch = draw(ALL, seed)
    for tokens in batch.tokens:
        items = items_of(tokens)
        lexicon = lexicon_of(items)
        assert set(lexicon) <= set(WORDS)
        assert set(lexicon.values()) <= set(ACTIONS)
        assert len(set(lexicon.values())) == len(lexicon) <= 6
        for command, answer in items:
            made = [a for clause in clauses_of(command) for a in carry_out(clause, lexicon)]
            assert answer.split() == made
        examples = tuple(Example(str(n), *item) for n, item in enumerate(items))
        prompt = render(scan_template(), Exemplars(Example("q", "q", ""), examples, ())).text
        shown = prompt[: prompt.rindex("Command: q")]
        assert text_of(tokens).startswith(shown)


@given(seed=st.integers(0, 10**6))
def test_loss_falls_on_answers_and_the_line_that_ends_them(seed: int) -> None:
    batch = draw(ALL, seed)
    for tokens, learned, item in zip(batch.tokens, batch.learned, batch.item, strict=True):
        assert (learned == (item >= 0)).all()
        for number, (_, answer) in enumerate(items_of(tokens)):
            assert text_of(tokens[item == number]) == f" {answer}\n\n"


@given(seed=st.integers(0, 10**6))
def test_an_item_is_known_once_all_its_words_were_shown(seed: int) -> None:
    batch = draw(ALL, seed)
    for tokens, item, known in zip(batch.tokens, batch.item, batch.known, strict=True):
        shown: set[str] = set()
        for number, (command, _) in enumerate(items_of(tokens)):
            words = set(command.split()) - set(GRAMMAR)
            assert known[item == number].all() == (words <= shown)
            assert known[item == number].any() == (words <= shown)
            shown |= words


def test_scans_own_lexicon_is_never_drawn() -> None:
    own = dict(zip(SLOT_WORDS, SLOT_ACTIONS, strict=True))
    met = 0
    for seed in range(300):
        for tokens in draw(ALL, seed, rows=4, length=300, longest=4).tokens:
            pairs = lexicon_of(items_of(tokens)).items() & own.items()
            assert len(pairs) <= 1
            met += len(pairs)
    assert met, "SCAN's words are ordinary words: now and then one means what it means in SCAN"


def test_the_default_family_meets_no_held_out_pattern_under_any_lexicon() -> None:
    met: set[str] = set()
    for seed in range(60):
        for tokens in draw(DEFAULT, seed, rows=4).tokens:
            for command, _ in items_of(tokens):
                words = []
                for word in command.split():
                    follows_verb = bool(words) and words[-1] not in {"and", "after"}
                    alone = len(command.split()) == 1
                    open_as = "DIRECTION" if follows_verb or alone else "VERB"
                    words.append(word if word in GRAMMAR else open_as)
                met.add(" ".join(words))
    assert met <= {pattern.name for pattern in patterns()} | {"DIRECTION"}
    assert not met & held_out()
    assert len(met) > 400


@given(seed=st.integers(0, 10**6), level=st.sampled_from(LEVELS))
def test_answers_are_no_longer_than_asked(seed: int, level) -> None:
    batch = draw(ALL, seed, length=level.length, longest=level.longest)
    answers = [answer for tokens in batch.tokens for _, answer in items_of(tokens)]
    assert answers
    assert all(len(answer.split()) <= level.longest for answer in answers)


@given(seed=st.integers(0, 10**6), few=st.sampled_from([0.0, 0.5, 1.0]))
def test_repeats_repeat_and_are_learned_from_the_second_time_on(seed: int, few: float) -> None:
    batch = draw(ALL, seed, repeats=1.0, length=80, few=few)
    for tokens, learned, item in zip(batch.tokens, batch.learned, batch.item, strict=True):
        period = int(np.argmax(learned))
        assert 4 <= period <= 20
        assert learned[period:].all()
        assert (tokens[period:] == tokens[:-period]).all()
        assert (item == -1).all()


def test_repeats_are_of_few_tokens_as_often_as_asked() -> None:
    def distinct(few: float) -> np.ndarray:
        rows = [row for seed in range(100) for row in draw(ALL, seed, repeats=1.0, few=few).tokens]
        return np.array([len(set(row.tolist())) for row in rows])

    assert distinct(1.0).max() <= 8
    many = (distinct(0.0) > 8).mean()
    assert many > 0.5
    assert (distinct(0.3) > 8).mean() == pytest.approx(0.7 * many, abs=0.08)


def test_the_same_seed_draws_the_same_rows() -> None:
    first, second = draw(ALL, 3, repeats=0.5), draw(ALL, 3, repeats=0.5)
    assert (first.tokens == second.tokens).all()
    assert (first.tokens != draw(ALL, 4, repeats=0.5).tokens).any()


def test_patterns_are_drawn_evenly_where_asked() -> None:
    level = {"rows": 4, "longest": 2}
    shares = []
    for even in (0, 1):
        drawn = [draw(DEFAULT, seed, even=even, **level) for seed in range(40)]
        commands = [c for batch in drawn for row in batch.tokens for c, _ in items_of(row)]
        shares.append(np.mean([len(command.split()) == 1 for command in commands]))
    fitting = [p for p in Recipe("codegen", "s").patterns() if len(p.target) <= 2]
    weights = [p.commands for p in fitting]
    assert shares[0] == pytest.approx(fitting[0].commands / sum(weights), abs=0.03)
    assert shares[1] == pytest.approx(1 / len(fitting), abs=0.03)


def test_commands_are_as_frequent_as_in_scan() -> None:
    lengths = [
        len(answer.split())
        for seed in range(100)
        for tokens in draw(ALL, seed, rows=4).tokens
        for _, answer in items_of(tokens)[:8]
    ]
    assert np.mean(lengths) == pytest.approx(14.35, abs=0.6)
