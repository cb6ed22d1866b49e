"""How a nano model is trained, and where a run of it stands.

A warm-up on random sequences that repeat comes first: without it, models are stuck for millions of
tokens at guessing among the actions seen so far. Then come episodes whose answers grow longer, each
level once the one before is learned or has taken long enough.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from math import sqrt
from typing import Any

from icl_gap.models.spec import Architecture
from icl_gap.nano.patterns import DIRECTION, Pattern, held_out, patterns
from icl_gap.nano.shapes import SHAPES, Shape

TRAINING = "training_args.json"
"""The file beside a model's weights that tells how it was trained."""

STEPS = 48_000


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the curriculum."""

    longest: int
    """The largest number of actions in an answer."""
    length: int
    """Of a row, in tokens."""
    rows: int
    """In a step."""
    even: bool = False
    """Whether all patterns are drawn alike, not in proportion to how many commands they have."""


LEVELS = (
    Level(longest=1, length=128, rows=10, even=True),
    Level(longest=2, length=160, rows=8, even=True),
    Level(longest=4, length=192, rows=7, even=True),
    Level(longest=8, length=224, rows=6),
    Level(longest=14, length=256, rows=5),
    Level(longest=24, length=320, rows=4),
    Level(longest=48, length=640, rows=2),
)
"""Up to SCAN's longest answer, in rows that hold ten of them. A step has about 1,300 tokens: larger
ones learn more slowly on a CPU, and smaller ones did not learn faster. Words are learned from the
shortest patterns, which are few: drawn evenly, none is rare."""


def curriculum() -> list[dict[str, Any]]:
    """The levels as plain values, as they stand beside the weights that they made."""
    return [asdict(level) for level in LEVELS]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What may differ between nano models; the levels and the words are the same for all."""

    family: Architecture
    size: str
    """A key of `SHAPES`."""
    control: bool = False
    """Whether the model sees the held-out patterns too."""
    seed: int = 0
    steps: int = STEPS
    warm_up: int = 1000
    """Steps on repeated sequences alone."""
    repeats: float = 0.1
    """The part of the rows that are repeated sequences after that."""
    few: float = 0.0
    """The part of the repeated sequences that are made of few different tokens."""
    learning_rate: float = 1.5e-3
    """At a width of 128; for narrower models, larger by the root of the ratio."""
    weight_decay: float = 0.01
    decay: float = 0.4
    """The part of the steps over which the learning rate falls to zero."""
    gate: float = 0.7
    """The accuracy at which a level is learned."""
    patience: float = 0.12
    """The part of the steps after which the next level comes all the same."""

    @property
    def family_name(self) -> str:
        """What a sweep's figures call the family."""
        return f"nano-{self.family}{'-control' if self.control else ''}"

    @property
    def name(self) -> str:
        """What sweeps call the model."""
        return f"nano-{self.family}-{self.size}{'-control' if self.control else ''}"

    @property
    def shape(self) -> Shape:
        """How large the model is."""
        return SHAPES[self.size]

    @property
    def peak(self) -> float:
        """The largest learning rate."""
        return self.learning_rate * sqrt(128 / self.shape.width)

    @property
    def arguments(self) -> str:
        """What `train` takes on the command line for this recipe, `--out` left out."""
        parts = [f"--family {self.family} --size {self.size}"]
        parts += ["--control"] if self.control else []
        parts += [
            f"--{name.replace('_', '-')} {getattr(self, name)}"
            for name, default in options().items()
            if getattr(self, name) != default
        ]
        return " ".join(parts)

    def patterns(self) -> tuple[Pattern, ...]:
        """What its episodes are made of."""
        seen = tuple(p for p in patterns() if self.control or p.name not in held_out())
        return (DIRECTION, *seen)

    def rate(self, step: int) -> float:
        """The learning rate at a step: 50 steps up, then flat, then down to zero."""
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.peak * min((step + 1) / 50, 1.0, left)


def options() -> dict[str, Any]:
    """What of a recipe its model's name does not tell, with the defaults."""
    told = {"family", "size", "control"}
    return {each.name: each.default for each in fields(Recipe) if each.name not in told}


@dataclass(slots=True)
class TrainingProgress:
    """Where a run stands."""

    step: int = 0
    level: int = 0
    level_started: int = 0
    """The step at which it began."""
    accuracy: float = 0.0
    """A running mean of `later_accuracy`, from 0 at the start of each level."""
    loss: float = 0.0
    """A running mean, in nats a token."""
    tokens: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    """Of each level that ended: its number, the step, and the accuracy."""

    def note(self, *, loss: float, accuracy: float | None, tokens: int) -> None:
        """Count one step in.

        Args:
            loss: Of the step.
            accuracy: Of the step; None where no item counts.
            tokens: How many the step had.
        """
        self.loss = loss if self.step == 0 else 0.98 * self.loss + 0.02 * loss
        if accuracy is not None:
            self.accuracy = 0.95 * self.accuracy + 0.05 * accuracy
        self.step += 1
        self.tokens += tokens

    def advance(self, recipe: Recipe) -> None:
        """Go up a level once this one is learned, or has taken long enough."""
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
