"""Train a nano model: `python -m icl_gap.nano.train --family codegen --size s --out models`.

The recipe is the same on a CPU and on a GPU. A run that was cut off goes on from its checkpoint; on
the same device, with as many threads, it comes to the weights that it would have reached.
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

from icl_gap.models.hf.folder import FAMILY_MARK
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.models.spec import Architecture
from icl_gap.nano.episodes import Batch, Episodes
from icl_gap.nano.fast_attention import use_blockwise_attention
from icl_gap.nano.scan_tokenizer import END, build_tokenizer, save_tokenizer, scan_template
from icl_gap.nano.shapes import HEADS, SHAPES, build_config
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
OPT_EMBEDDINGS = 6
"""How many times wider than the family's own OPT's embeddings begin."""
OPT_WAVES = 0.6
"""The amplitude of OPT's positions."""
OPT_SHARPNESS = 1.6
"""How large the weights are by which its first heads look back, at a width of 128."""
OPT_LOOKING_BACK = 2
"""How many of its layers begin with such heads."""


@dataclass(slots=True)
class Run:
    """A model in training, and all that its next step depends on."""

    recipe: Recipe
    model: PreTrainedModel
    bfloat16: bool
    """Whether its forward passes run in bfloat16; else they do in float32."""
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    progress: TrainingProgress


def train(
    recipe: Recipe, folder: Path, *, device: str = "cpu", until: int | None = None, every: int = 500
) -> TrainingProgress:
    """Train a model; once it is done, write it as `transformers` would, in half precision.

    Args:
        recipe: How.
        folder: Where to. A checkpoint in it is gone on from.
        device: As torch names it.
        until: Stop at this step, with a checkpoint; by default at the recipe's last.
        every: How many steps lie between checkpoints.

    Returns:
        How far it came.

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
            _keep(run, kept)
            _tell(run.progress)
    if run.progress.step == recipe.steps:
        _write(run, tokenizer, folder)
    return run.progress


def later_accuracy(batch: Batch, right: NDArray[np.bool_]) -> float | None:
    """Exact match on items late in their rows, where the model has been shown enough.

    Counted are whole items in the later half of a row whose words were all shown before
    (`Batch.known`); what other words mean cannot be known.

    Args:
        batch: The rows.
        right: Whether each token after the first was predicted, (rows, length - 1).

    Returns:
        From 0 to 1; None where no item counts.
    """
    items, known = batch.item[:, 1:], batch.known[:, 1:]
    found = [
        right[row][items[row] == item].all()
        for row, last in enumerate(items.max(axis=1))
        for item in range(max(1, last // 2), last)
        if known[row][items[row] == item].all()
    ]
    return float(np.mean(found)) if found else None


@torch.no_grad()
def begin_opt(model: PreTrainedModel) -> None:
    """Have OPT begin with wide embeddings, waves for positions, and heads that look back.

    Random positions do not tell which token comes before which until each has been learned; copying
    builds on that, and took thousands of steps. Waves (Vaswani et al. 2017, section 3.5) tell it
    from the start, also of positions that no row has reached yet. Their speeds rise to half a turn
    a token: the fast ones set neighbours apart, the slow ones near from far. They rise almost as
    squares; by exact ones, tokens 512 apart would look alike at a width of 64. As waves turn alike
    at every position, one matrix takes a head from each token to the one so many before it; the
    first layers' heads begin with those of 1 to 4, as sharp at any width.

    Args:
        model: As its own initialization leaves it.
    """
    model.get_input_embeddings().get_parameter("weight").mul_(OPT_EMBEDDINGS)
    decoder = model.get_decoder()
    positions = decoder.get_parameter("embed_positions.weight")
    positions.requires_grad_(requires_grad=False)
    length, width = positions.shape
    head = width // HEADS
    waves = head // 2
    speeds = torch.pi * ((torch.arange(waves) + 0.5) / waves) ** 1.9
    angles = torch.arange(length)[:, None] * speeds
    positions.zero_()
    positions[:, :head] = OPT_WAVES * torch.cat([angles.sin(), angles.cos()], 1)
    begun = {
        "q_proj": torch.stack([_turned_back(back * speeds) for back in range(1, HEADS + 1)]),
        "k_proj": torch.eye(head),
    }
    sharpness = OPT_SHARPNESS * (128 / width) ** 0.25
    for layer in range(OPT_LOOKING_BACK):
        for part, turn in begun.items():
            weight = decoder.get_parameter(f"layers.{layer}.self_attn.{part}.weight")
            weight.view(HEADS, head, width)[:, :, :head] = sharpness * turn


def _turned_back(angles: torch.Tensor) -> torch.Tensor:
    """What takes the sines and cosines of some angles to those of the angles less the given."""
    sines, cosines = torch.diag(angles.sin()), torch.diag(angles.cos())
    return torch.cat([torch.cat([cosines, -sines], 1), torch.cat([sines, cosines], 1)])


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 itself.

    A processor that does not takes ten times as long as in float32, in which training then runs.
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
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        if device == "cpu":
            use_blockwise_attention(model)
    if recipe.family == "opt":
        begin_opt(model)
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
    asked = torch.from_numpy(batch.learned).to(device)[:, 1:]
    for group in run.optimizer.param_groups:
        group["lr"] = run.recipe.rate(run.progress.step)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=run.bfloat16):
        logits = run.model(input_ids=tokens, use_cache=False).logits[:, :-1]
    loss = functional.cross_entropy(logits[asked].float(), tokens[:, 1:][asked])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    right: NDArray[np.bool_] = (logits.argmax(-1) == tokens[:, 1:]).cpu().numpy()
    run.progress.note(
        loss=loss.item(), accuracy=later_accuracy(batch, right), tokens=batch.tokens.size
    )


def _keep(run: Run, kept: Path) -> None:
    part = kept.with_suffix(".part")
    torch.save(
        {
            "recipe": asdict(run.recipe),
            "levels": curriculum(),
            "model": run.model.state_dict(),
            "optimizer": run.optimizer.state_dict(),
            "rng": json.dumps(run.rng.bit_generator.state),
            "progress": asdict(run.progress),
        },
        part,
    )
    part.replace(kept)


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
    told = {
        "recipe": asdict(run.recipe),
        "levels": curriculum(),
        "progress": asdict(run.progress),
        "machine": f"{run.model.device.type}, {torch.get_num_threads()} thread(s), {_processor()}",
        "precision": "bfloat16" if run.bfloat16 else "float32",
        "torch": torch.__version__,
    }
    (folder / TRAINING).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _tell(progress: TrainingProgress) -> None:
    speed = progress.tokens / progress.seconds
    line = (
        f"step {progress.step}  level {progress.level}  loss {progress.loss:.3f}  later items "
        f"{progress.accuracy:.3f}  {progress.seconds:.0f} s  {speed:,.0f} tokens/s"
    )
    print(line, flush=True)  # noqa: T201 (a command that runs for an hour tells how it goes)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m icl_gap.nano.train", description=__doc__)
    parser.add_argument("--family", choices=get_args(Architecture), required=True)
    parser.add_argument("--size", choices=list(SHAPES), required=True)
    parser.add_argument("--control", action="store_true", help="see the held-out patterns too")
    for name, default in options().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--out", type=Path, required=True, help="the model's folder is made in it")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU; more help little")
    given = vars(parser.parse_args(arguments))
    out, device, threads = (given.pop(name) for name in ("out", "device", "threads"))
    torch.set_num_threads(threads)
    recipe = Recipe(**given)
    train(recipe, out / recipe.name, device=device)


if __name__ == "__main__":
    main()
