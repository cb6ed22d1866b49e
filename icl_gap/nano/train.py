"""Train a nano model: `python -m icl_gap.nano.train --family codegen --size m --out models`.

The recipe is the same on a CPU and on a GPU. A run that was stopped continues from its checkpoint;
on the same device, with as many threads, it reaches the same weights.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from icl_gap.files import replacing
from icl_gap.models.hf.folder import FAMILY_MARK, TRAINING_SEED_MARK
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.models.spec import Architecture
from icl_gap.nano.episodes import Batch, Episodes
from icl_gap.nano.fast_attention import use_blockwise_attention
from icl_gap.nano.opt_initialization import initialize_opt
from icl_gap.nano.scan_tokenizer import END, build_tokenizer, save_tokenizer, scan_template
from icl_gap.nano.shapes import SHAPES, build_config
from icl_gap.nano.training_recipe import (
    LEVELS,
    TRAINING,
    Recipe,
    TrainingProgress,
    curriculum,
    options,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

CHECKPOINT = "checkpoint.pt"


@dataclass(slots=True)
class Run:
    """A model in training, with everything that its next step depends on."""

    recipe: Recipe
    model: PreTrainedModel
    bfloat16: bool
    """True if forward passes run in bfloat16, otherwise in float32."""
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    progress: TrainingProgress


def train(
    recipe: Recipe, folder: Path, *, device: str = "cpu", until: int | None = None, every: int = 500
) -> TrainingProgress:
    """Train a model and write it as `transformers` would, in half precision.

    Args:
        recipe: The recipe.
        folder: The target. Training continues from a checkpoint in it.
        device: A torch device, as `cpu`.
        until: The step to stop at, with a checkpoint; by default the recipe's last.
        every: The number of steps between checkpoints.

    Returns:
        The progress of the run.

    Raises:
        ValueError: The folder holds the checkpoint of another recipe.
    """
    template = scan_template()
    tokenizer = build_tokenizer(template)
    run = _start(recipe, tokenizer, device)
    kept = folder / CHECKPOINT
    if kept.exists():
        _resume(run, kept)
    folder.mkdir(parents=True, exist_ok=True)
    episodes = Episodes(recipe.patterns(), template, lambda text: tokenizer.encode(text).ids)
    last = recipe.steps if until is None else until
    started = time.perf_counter() - run.progress.seconds
    while run.progress.step < last:
        level = LEVELS[run.progress.level]
        batch = episodes.draw(
            run.rng,
            level,
            repeats=1.0 if run.progress.step < recipe.warm_up else recipe.repeats,
            few=recipe.few,
        )
        _step(run, batch)
        run.progress.seconds = time.perf_counter() - started
        run.progress.advance(recipe)
        if run.progress.step % every == 0 or run.progress.step == last:
            _save_checkpoint(run, kept)
            _print_progress(run.progress)
    if run.progress.step == recipe.steps:
        _write(run, tokenizer, folder)
    return run.progress


def later_accuracy(batch: Batch, right: NDArray[np.bool_]) -> float | None:
    """Return the exact match on items late in their rows, for which the row shows enough.

    An item counts if it is whole, in the later half of its row, and all its words occurred before
    (`Batch.known`); the meaning of other words cannot be known.

    Args:
        batch: The rows.
        right: True where a token after the first was predicted, (rows, length - 1).

    Returns:
        A share from 0 to 1; None if no item counts.
    """
    items, known = batch.item[:, 1:], batch.known[:, 1:]
    found = [
        right[row][items[row] == item].all()
        for row, last in enumerate(items.max(axis=1))
        for item in range(max(1, last // 2), last)
        if known[row][items[row] == item].all()
    ]
    return float(np.mean(found)) if found else None


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device has bfloat16 arithmetic of its own.

    A processor that emulates it takes ten times as long as in float32; there training runs in
    float32.
    """
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 (torch has no public name)
    return True


def _start(recipe: Recipe, tokenizer: Tokenizer, device: str) -> Run:
    torch.manual_seed(recipe.seed)
    end = tokenizer.token_to_id(END)
    assert end is not None, "the tokenizer was built with it"  # noqa: S101 (for mypy)
    with silence_transformers():
        from transformers import AutoModelForCausalLM

        config = build_config(
            recipe.family,
            recipe.shape,
            vocab_size=tokenizer.get_vocab_size(),
            end=end,
        )
        setattr(config, FAMILY_MARK, recipe.family_name)
        setattr(config, TRAINING_SEED_MARK, recipe.seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        if device == "cpu":
            use_blockwise_attention(model)
    if recipe.family == "opt":
        initialize_opt(model)
    torch.nn.Module.to(model, device)
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
    )
    rng = np.random.default_rng(recipe.seed)
    return Run(
        recipe, model.train(), has_bfloat16(model.device), optimizer, rng, TrainingProgress()
    )


def _step(run: Run, batch: Batch) -> None:
    device = run.model.device
    tokens = torch.from_numpy(batch.tokens).to(device)
    learned = torch.from_numpy(batch.learned).to(device)[:, 1:]
    for group in run.optimizer.param_groups:
        group["lr"] = run.recipe.rate(run.progress.step)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=run.bfloat16):
        logits = run.model(input_ids=tokens, use_cache=False).logits[:, :-1]
    loss = functional.cross_entropy(logits[learned].float(), tokens[:, 1:][learned])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    right: NDArray[np.bool_] = (logits.argmax(-1) == tokens[:, 1:]).cpu().numpy()
    run.progress.note(
        loss=loss.item(), accuracy=later_accuracy(batch, right), tokens=batch.tokens.size
    )


def _save_checkpoint(run: Run, kept: Path) -> None:
    state = {
        "recipe": asdict(run.recipe),
        "levels": curriculum(),
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "rng": json.dumps(run.rng.bit_generator.state),
        "progress": asdict(run.progress),
    }
    with replacing(kept) as file:
        torch.save(state, file)


def _resume(run: Run, kept: Path) -> None:
    state: dict[str, Any] = torch.load(kept, weights_only=True, map_location=run.model.device)
    if (state["recipe"], state["levels"]) != (asdict(run.recipe), curriculum()):
        raise ValueError(f"{kept} is the checkpoint of another recipe: give another folder")
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.rng.bit_generator.state = json.loads(state["rng"])
    run.progress = TrainingProgress(**state["progress"])


def _write(run: Run, tokenizer: Tokenizer, folder: Path) -> None:
    with silence_transformers():
        run.model.half().save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    record = {
        "recipe": asdict(run.recipe),
        "levels": curriculum(),
        "progress": asdict(run.progress),
        "machine": f"{run.model.device.type}, {torch.get_num_threads()} thread(s), {_processor()}",
        "precision": "bfloat16" if run.bfloat16 else "float32",
        "torch": torch.__version__,
    }
    (folder / TRAINING).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _print_progress(progress: TrainingProgress) -> None:
    speed = progress.tokens / progress.seconds
    line = (
        f"step {progress.step}  level {progress.level}  loss {progress.loss:.3f}  later items "
        f"{progress.accuracy:.3f}  {progress.seconds:.0f} s  {speed:,.0f} tokens/s"
    )
    print(line, flush=True)  # noqa: T201 (a command that runs for an hour shows its progress)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train a model from the command line."""
    given = vars(argument_parser().parse_args(arguments))
    out, device, threads = (given.pop(name) for name in ("out", "device", "threads"))
    torch.set_num_threads(threads)
    recipe = Recipe(**given)
    train(recipe, out / recipe.name, device=device)


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m icl_gap.nano.train", description=__doc__)
    parser.add_argument("--family", choices=get_args(Architecture), required=True)
    parser.add_argument("--size", choices=list(SHAPES), required=True)
    parser.add_argument("--control", action="store_true", help="train on the held-out patterns too")
    for name, default in options().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model's folder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU")
    return parser


if __name__ == "__main__":
    main()
