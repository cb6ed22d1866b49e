from itertools import pairwise

import pytest

from icl_gap.nano.training_recipe import LEVELS, Recipe, TrainingProgress

RECIPE = Recipe("codegen", "l", steps=1000, warm_up=100)


def passed(progress: TrainingProgress, *accuracies: float | None) -> TrainingProgress:
    for accuracy in accuracies:
        progress.note(loss=1.0, accuracy=accuracy, tokens=10)
        progress.advance(RECIPE)
    return progress


def test_the_rate_goes_up_stays_and_falls_to_nothing() -> None:
    rates = [RECIPE.rate(step) for step in range(RECIPE.steps)]
    assert rates[0] == pytest.approx(RECIPE.learning_rate / 50)
    assert rates[49:600] == [RECIPE.learning_rate] * 551
    assert all(later < earlier for earlier, later in pairwise(rates[600:]))
    assert 0 < rates[-1] < 0.01 * RECIPE.learning_rate


def test_narrow_models_learn_faster() -> None:
    assert Recipe("codegen", "xxs").rate(100) == pytest.approx(2 * RECIPE.rate(100))


def test_no_level_ends_while_the_warm_up_lasts() -> None:
    progress = passed(TrainingProgress(), *[1.0] * 100)
    assert (progress.level, progress.history) == (0, [])


def test_a_level_ends_when_it_is_learned() -> None:
    progress = passed(passed(TrainingProgress(), *[None] * 100), *[1.0] * 60)
    assert progress.level == 0, "a mean over few steps says little"
    passed(progress, 1.0)
    assert (progress.level, progress.accuracy) == (1, 0.0)
    assert progress.history == [
        {"level": 0, "step": 161, "accuracy": pytest.approx(0.956, abs=1e-3)}
    ]


def test_a_level_that_is_not_learned_ends_after_a_while() -> None:
    progress = passed(passed(TrainingProgress(), *[None] * 100), *[0.5] * 60)
    assert progress.level == 0
    passed(progress, *[0.5] * 60)
    assert progress.level == 0
    passed(progress, 0.5)
    assert progress.level == 1
    passed(progress, *[0.0] * 900)
    assert progress.level == len(LEVELS) - 1


def test_steps_with_nothing_to_count_leave_the_accuracy_alone() -> None:
    progress = passed(TrainingProgress(), 1.0)
    before = progress.accuracy
    assert passed(progress, None).accuracy == before


@pytest.mark.parametrize("control", [False, True])
def test_every_level_has_patterns(control: bool) -> None:
    lengths = [len(pattern.target) for pattern in Recipe("opt", "s", control=control).patterns()]
    assert min(lengths) == LEVELS[0].longest
    assert max(lengths) == (48 if control else 22)


def test_names_tell_family_size_control_and_seed() -> None:
    assert Recipe("bloom", "xxs").name == "nano-bloom-xxs"
    assert Recipe("codegen", "m", seed=2).name == "nano-codegen-m-seed2"
    assert Recipe("codegen", "m", seed=2).family_name == "nano-codegen"
    control = Recipe("codegen", "l", control=True)
    assert (control.name, control.family_name) == ("nano-codegen-l-control", "nano-codegen-control")
