"""Devices and precision of weights that run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
DeviceMap = Literal["auto", "balanced", "balanced_low_0", "sequential"]
Precision = Literal["plain", "adjudicated"]
Quantization = Literal["8bit", "4bit"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Devices and precision of weights that run here; see the keys of `TransformersSpec`."""

    dtype: Dtype = "float32"
    quantization: Quantization | None = None
    device: str | None = None
    device_map: DeviceMap | None = None
    max_memory: Mapping[int | Literal["cpu"], int] | None = None
    adjudicated: bool = False
    """True if doubtful verdicts are asked again in float32."""

    @property
    def precision(self) -> str:
        """Name of the precision, as `bfloat16`, `8bit float32` or `adjudicated bfloat16`."""
        adjudicated = "adjudicated" if self.adjudicated else None
        return " ".join(filter(None, [adjudicated, self.quantization, self.dtype]))
