"""The training recipe of nano models, and the progress of a run.

A warm-up on random sequences that repeat comes first. Without it, models spend millions of tokens
guessing among the actions seen so far. Then come episodes with ever longer answers; a level starts
once the one before is learned or has taken long enough.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from math import sqrt
from typing import Any

from icl_gap.models.spec import Architecture
from icl_gap.nano.patterns import DIRECTION, CommandPattern, held_out, patterns
from icl_gap.nano.shapes import SHAPES, NanoShape

TRAINING = "training_args.json"
"""The file beside a model's weights that records its training."""

STEPS = 28_000


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the curriculum."""

    longest: int
    """The largest number of actions in an answer."""
    length: int
    """The length of a row, in tokens."""
    rows: int
    """The number of rows in a step."""
    even: bool = False
    """True to draw all patterns with equal probability, not in proportion to their commands."""


LEVELS = (
    Level(longest=1, length=128, rows=10, even=True),
    Level(longest=2, length=160, rows=8, even=True),
    Level(longest=4, length=192, rows=7, even=True),
    Level(longest=8, length=224, rows=6),
    Level(longest=14, length=256, rows=5),
    Level(longest=24, length=320, rows=4),
    Level(longest=48, length=640, rows=2),
)
"""Levels up to SCAN's longest answer, in rows that hold ten answers. A step has about 1,300 tokens:
larger steps learn more slowly on a CPU, and smaller ones did not learn faster. Words are learned
from the shortest patterns, which are few; equal probabilities make none of them rare."""


def curriculum() -> list[dict[str, Any]]:
    """Return the levels as plain values, as `training_args.json` records them."""
    return [asdict(level) for level in LEVELS]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options of a nano model; the levels and the vocabulary are the same for all."""

    family: Architecture
    size: str
    """A key of `SHAPES`."""
    control: bool = False
    """True to train on the held-out patterns too."""
    seed: int = 0
    """Seed of the initial weights and of the episodes."""
    steps: int = STEPS
    warm_up: int = 5000
    """Steps on repeated sequences alone."""
    repeats: float = 0.1
    """The share of rows that are repeated sequences after the warm-up."""
    few: float = 0.0
    """The share of the repeated sequences that have few distinct tokens."""
    learning_rate: float = 1.5e-3
    """The learning rate at a width of 128; narrower models multiply it by the root of the ratio."""
    weight_decay: float = 0.01
    decay: float = 0.4
    """The share of the steps over which the learning rate falls to zero."""
    gate: float = 0.7
    """The accuracy at which a level is learned."""
    patience: float = 0.12
    """The share of the steps after which the next level starts in any case."""

    @property
    def family_name(self) -> str:
        """The name of the family in figures."""
        return f"nano-{self.family}{'-control' if self.control else ''}"

    @property
    def name(self) -> str:
        """The name of the model in sweeps; a seed other than 0 ends it."""
        control, seed = "-control" if self.control else "", f"-seed{self.seed}" if self.seed else ""
        return f"nano-{self.family}-{self.size}{control}{seed}"

    @property
    def shape(self) -> NanoShape:
        """The size of the model."""
        return SHAPES[self.size]

    @property
    def peak(self) -> float:
        """The largest learning rate."""
        return self.learning_rate * sqrt(128 / self.shape.width)

    @property
    def arguments(self) -> str:
        """The command-line arguments of `train` for this recipe, without `--out`."""
        parts = [f"--family {self.family} --size {self.size}"]
        parts += ["--control"] if self.control else []
        parts += [
            f"--{name.replace('_', '-')} {getattr(self, name)}"
            for name, default in options().items()
            if getattr(self, name) != default
        ]
        return " ".join(parts)

    def patterns(self) -> tuple[CommandPattern, ...]:
        """Return the patterns that its episodes are made of."""
        seen = tuple(p for p in patterns() if self.control or p.name not in held_out())
        return (DIRECTION, *seen)

    def rate(self, step: int) -> float:
        """Return the learning rate at a step: 50 steps up, then constant, then down to zero."""
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.peak * min((step + 1) / 50, 1.0, left)


def options() -> dict[str, Any]:
    """Return the options that have a default, but for `control`, with their defaults."""
    named = {"family", "size", "control"}
    return {each.name: each.default for each in fields(Recipe) if each.name not in named}


@dataclass(slots=True)
class TrainingProgress:
    """The progress of a training run."""

    step: int = 0
    level: int = 0
    level_started: int = 0
    """The step at which the level began."""
    accuracy: float = 0.0
    """A running mean of `later_accuracy`, from 0 at the start of each level."""
    loss: float = 0.0
    """A running mean, in nats a token."""
    tokens: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    """The number, last step and accuracy of each level that has ended."""

    def note(self, *, loss: float, accuracy: float | None, tokens: int) -> None:
        """Add one step.

        Args:
            loss: The loss of the step, in nats a token.
            accuracy: The accuracy of the step; None if no item counts.
            tokens: The number of tokens in the step.
        """
        self.loss = loss if self.step == 0 else 0.98 * self.loss + 0.02 * loss
        if accuracy is not None:
            self.accuracy = 0.95 * self.accuracy + 0.05 * accuracy
        self.step += 1
        self.tokens += tokens

    def advance(self, recipe: Recipe) -> None:
        """Start the next level once this one is learned or has taken long enough."""
        if self.step <= recipe.warm_up:
            self.level_started = self.step
            return
        spent = self.step - self.level_started
        learned = spent > 60 and self.accuracy > recipe.gate
        if self.level < len(LEVELS) - 1 and (learned or spent > recipe.patience * recipe.steps):
            self.history.append(
                {"level": self.level, "step": self.step, "accuracy": round(self.accuracy, 4)}
            )
            self.level += 1
            self.level_started = self.step
            self.accuracy = 0.0
