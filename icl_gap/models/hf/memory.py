"""Memory that is free on this machine, and whether a model's footprint fits in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from icl_gap.errors import ModelError
from icl_gap.models.backend import Footprint
from icl_gap.models.placement import Placement

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
"""Files with the limit and the usage, and the key in `memory.stat` of cached files that can be
dropped; for cgroups version 2, then 1."""


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """Memory that a model needs against the memory of the devices that it may use, in bytes."""

    weights: int
    keys_and_values: int
    """KV cache of `kv_cache_tokens` tokens."""
    memory: int
    """Free memory over all these devices."""
    room: int
    """Part of `memory` that weights may take by `max_memory`."""
    on_disk: bool
    """True if weights that do not fit may stay on the disk."""

    @property
    def fits(self) -> bool:
        """True if the model can run; the KV cache must be in memory in any case."""
        return self.keys_and_values <= self.memory and (self.on_disk or self.all_in_memory)

    @property
    def all_in_memory(self) -> bool:
        """True if weights and KV cache fit in memory."""
        enough = self.weights + self.keys_and_values <= self.memory
        return enough and self.weights <= self.room

    @property
    def verdict(self) -> str:
        """Short answer for a table: `yes`, `partly on disk` or `does not fit`."""
        if not self.fits:
            return "does not fit"
        return "yes" if self.all_in_memory else "partly on disk"

    def check(self, name: str) -> None:
        """Refuse a model that does not fit.

        Args:
            name: The model's name.

        Raises:
            ModelError: The model does not fit; the message gives the sizes.
        """
        if not self.fits:
            kept = f"keys and values {format_bytes(self.keys_and_values)}"
            raise ModelError(
                f"{name} does not fit in memory",
                value=f"weights {format_bytes(self.weights)}, {kept}",
                allowed=f"{format_bytes(self.memory)}, which is free here; {_ADVICE}",
            )


def memory_fit(footprint: Footprint) -> MemoryFit | None:
    """Compare a model's footprint with the memory that is free here.

    Args:
        footprint: The model's footprint.

    Returns:
        The comparison; None for weights that are quantized on disk.

    Raises:
        ModelError: This machine has no such device.
    """
    if footprint.weights is None:
        return None
    placement = footprint.placement
    memory = _free(placement)
    most = placement.max_memory
    bounded = memory if most is None else {n: min(memory.get(n, 0), m) for n, m in most.items()}
    return MemoryFit(
        weights=footprint.weights,
        keys_and_values=footprint.keys_and_values,
        memory=sum(memory.values()),
        room=sum(bounded.values()),
        on_disk=placement.device_map is not None and placement.quantization is None,
    )


def format_bytes(size: float) -> str:
    """Format a number of bytes for people, as `1.5 GiB`."""
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} {_UNITS[-1]}"


def free_memory() -> int:
    """Return the bytes of main memory that the machine and the cgroups leave to this process."""
    import psutil

    return max(0, min(int(psutil.virtual_memory().available), *_cgroup_room(), 1 << 62))


def _free(placement: Placement) -> dict[int | Literal["cpu"], int]:
    """Return the free bytes of each device that a model may use."""
    import torch

    from icl_gap.models.hf.checkpoint import pick_device

    if placement.device_map is None:
        device = pick_device(placement.device)
        if device.type == "cuda":
            return {device.index or 0: _free_on_gpu(device.index or 0)}
        return {"cpu": free_memory()}
    free: dict[int | Literal["cpu"], int] = {
        n: _free_on_gpu(n) for n in range(torch.cuda.device_count())
    }
    if placement.quantization is None or not free:  # quantized weights use GPUs alone, or the CPU
        free["cpu"] = free_memory()
    return free


def _free_on_gpu(number: int) -> int:
    """Return the free bytes of a GPU, including what torch keeps in its cache."""
    import torch

    kept = torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)
    return torch.cuda.mem_get_info(number)[0] + kept


def _cgroup_room(proc: Path = Path("/proc/self/cgroup"), root: Path = _CGROUPS) -> Iterator[int]:
    """Yield the bytes that each limit of this process's cgroups and their parents leaves."""
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
