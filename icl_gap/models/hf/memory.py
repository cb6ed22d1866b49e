"""What a model takes of memory, and what there is, found out before its weights load.

Weights are counted from `config.json`, so nothing is read but that file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from icl_gap.errors import ModelError
from icl_gap.models.identity import Identity
from icl_gap.models.spec import (
    MockSpec,
    ModelSpec,
    NearestExemplarSpec,
    OpenAISpec,
    Quantization,
    RandomInitSpec,
    TransformersSpec,
)

_PACKED_BYTES: dict[Quantization, float] = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}
"""Of a packed parameter. With 4 bits, 64 of them share a scale in float32 (Dettmers et al. 2023,
arXiv 2305.14314, section 3); with 8 bits a whole row does, which is next to nothing."""
_ADVICE = (
    "a smaller `dtype`, `quantization` or `kv_cache_tokens` takes less, and with "
    "`device_map: auto` weights that are not quantized may stay on the disk"
)
_UNITS = ("B", "KiB", "MiB", "GiB")
_CGROUPS = Path("/sys/fs/cgroup")
_CGROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, usage, and what of that is files that can go (in `memory.stat`): cgroups 2, then 1."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A model's needs against the memory of the devices that it may use, in bytes."""

    weights: int
    keys_and_values: int
    """Of `kv_cache_tokens` tokens."""
    memory: int
    """Free now, over all these devices."""
    room: int
    """What of it weights may take, by `max_memory`."""
    on_disk: bool
    """Whether weights that do not fit may stay on the disk."""

    @property
    def fits(self) -> bool:
        """Whether the model can run: keys and values must lie in memory in any case."""
        return self.keys_and_values <= self.memory and (self.on_disk or self.all_in_memory)

    @property
    def all_in_memory(self) -> bool:
        """Whether there is memory for all that the model needs."""
        enough = self.weights + self.keys_and_values <= self.memory
        return enough and self.weights <= self.room

    @property
    def verdict(self) -> str:
        """Whether the model fits, in a word or two."""
        if not self.fits:
            return "does not fit"
        return "yes" if self.all_in_memory else "partly on disk"

    def check(self, name: str) -> None:
        """Refuse a model that does not fit.

        Args:
            name: The model's.

        Raises:
            ModelError: It does not fit; the sizes are told.
        """
        if not self.fits:
            kept = f"keys and values {in_words(self.keys_and_values)}"
            raise ModelError(
                f"{name} does not fit in memory",
                value=f"weights {in_words(self.weights)}, {kept}",
                allowed=f"{in_words(self.memory)}, which is free here; {_ADVICE}",
            )


def fit(spec: ModelSpec, identity: Identity) -> Fit | None:
    """Whether a model fits in memory; None for one without weights, or of unknown packing.

    Args:
        spec: The model.
        identity: What `identify` found of it.

    Raises:
        ModelError: Its `config.json` describes no model that can be made, or there is no such
            device here.
    """
    match spec:
        case TransformersSpec() | RandomInitSpec():
            return _fit(spec, identity)
        case OpenAISpec() | NearestExemplarSpec() | MockSpec():
            return None
        case _:
            assert_never(spec)


def in_words(size: float) -> str:
    """A number of bytes as one reads it: `1.5 GiB`."""
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} {_UNITS[-1]}"


def free_memory() -> int:
    """Bytes that this process can still take on the CPU, by the machine and by its cgroups."""
    import psutil

    return max(0, min(int(psutil.virtual_memory().available), *_cgroup_room(), 1 << 62))


def _fit(spec: TransformersSpec | RandomInitSpec, identity: Identity) -> Fit | None:
    from icl_gap.models.hf.cost import config_of, dtype_of, shape

    quantization = spec.quantization if isinstance(spec, TransformersSpec) else None
    if getattr(config_of(spec, identity), "quantization_config", None) is not None:
        return None  # packed on disk, in one of many ways
    found = shape(spec, identity)
    if found is None:
        return None
    size = dtype_of(spec, identity).itemsize
    packed = size if quantization is None else _PACKED_BYTES[quantization]
    spread = isinstance(spec, TransformersSpec) and spec.device_map is not None
    memory = _free(spec)
    most = spec.max_memory if isinstance(spec, TransformersSpec) else None
    bounded = memory if most is None else {n: min(memory.get(n, 0), m) for n, m in most.items()}
    return Fit(
        weights=int(
            (found.parameters - found.packed) * size + found.packed * packed + found.tables
        ),
        keys_and_values=2 * found.layers * found.key_width * size * spec.kv_cache_tokens,
        memory=sum(memory.values()),
        room=sum(bounded.values()),
        on_disk=spread and quantization is None,
    )


def _free(spec: TransformersSpec | RandomInitSpec) -> dict[int | Literal["cpu"], int]:
    """What is free on each device that a model may use."""
    import torch

    from icl_gap.models.hf.checkpoint import pick_device

    if isinstance(spec, RandomInitSpec) or spec.device_map is None:
        device = pick_device(None if isinstance(spec, RandomInitSpec) else spec.device)
        if device.type == "cuda":
            return {device.index or 0: _free_on_gpu(device.index or 0)}
        return {"cpu": free_memory()}
    free: dict[int | Literal["cpu"], int] = {
        n: _free_on_gpu(n) for n in range(torch.cuda.device_count())
    }
    if spec.quantization is None or not free:  # packed weights lie on GPUs alone, or the CPU alone
        free["cpu"] = free_memory()
    return free


def _free_on_gpu(number: int) -> int:
    """Bytes that this process can still take, what torch keeps of models that are gone included."""
    import torch

    kept = torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)
    return torch.cuda.mem_get_info(number)[0] + kept


def _cgroup_room(proc: Path = Path("/proc/self/cgroup"), root: Path = _CGROUPS) -> Iterator[int]:
    """What the limits of this process's cgroups leave, those of all groups around it included."""
    try:
        lines = proc.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        base = root / controllers
        inner = base / path.lstrip("/")
        # In a container the path may be the host's; its own group then lies at the top.
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(base):
                yield from _room(folder)


def _room(folder: Path) -> Iterator[int]:
    for limit, usage, files in _CGROUP_FILES:
        try:
            most = int((folder / limit).read_text(encoding="utf-8"))  # "max" where there is none
            used = int((folder / usage).read_text(encoding="utf-8"))
            lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            continue
        stats = dict(line.split(" ", 1) for line in lines)
        yield most - used + int(stats.get(files, 0))
