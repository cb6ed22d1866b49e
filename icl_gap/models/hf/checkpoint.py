"""Checkpoints: strict loading with transformers, and counts of parameters."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import copy
import math
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, assert_never

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from icl_gap.errors import ModelError
from icl_gap.models.hf.folder import check_weights, is_safe, weight_files
from icl_gap.models.hf.gguf_folder import reading_gguf
from icl_gap.models.hf.remote_code import library_error, refuse_code
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.models.placement import Quantization
from icl_gap.models.spec import TransformersSpec

_OLD_BUFFERS = (".causal_mask", ".attn.bias", ".masked_bias", ".inv_freq", ".position_ids")
"""Ends of the names of buffers that old versions of transformers saved beside the weights."""


def load_weights(spec: TransformersSpec, folder: Path, gguf: Path | None = None) -> PreTrainedModel:
    """Load a model onto its device, ready to run.

    Args:
        spec: The model.
        folder: The folder of its files.
        gguf: The GGUF file of its weights, where they are in one.

    Raises:
        ModelError: The weights are damaged or do not fit the architecture; or a device, a library
            or the permission to run code is missing.
    """
    files = () if gguf is not None else weight_files(folder)
    check_weights(files)
    if not spec.trust_remote_code:
        refuse_code(folder)
    device = None if spec.device_map is not None else pick_device(spec.device)
    options: dict[str, Any] = {
        "dtype": "auto" if spec.dtype == "auto" else getattr(torch, spec.dtype),
        "trust_remote_code": spec.trust_remote_code,
        "use_safetensors": None if gguf is not None else is_safe(files),
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,  # they are in the report, which is checked
    }
    if spec.quantization is not None:
        options["quantization_config"] = _quantization(spec.quantization, options["dtype"])
        options["device_map"] = {"": str(device)}
    if gguf is None:
        return _placed(spec, folder, options, device)
    with reading_gguf(gguf) as (source, name):
        return _placed(spec, Path(source), {**options, **_unpacking(folder, name)}, device)


def _placed(
    spec: TransformersSpec, folder: Path, options: Mapping[str, Any], device: torch.device | None
) -> PreTrainedModel:
    """Load a model onto a device, or where there is none, as its `device_map` says."""
    if device is None:
        return _spread(spec, folder, options)
    model = _load(folder, options)
    if spec.quantization is None:
        try:
            move_to(model, device)
        except RuntimeError as error:
            raise library_error(error, "cannot load the model", str(folder)) from error
    return model


def _spread(spec: TransformersSpec, folder: Path, options: Mapping[str, Any]) -> PreTrainedModel:
    """Load a model onto several devices and, where they are full, onto the disk."""
    # The folder is for weights that the model's files do not hold in the right precision.
    overflow = tempfile.mkdtemp(prefix="icl-gap-")
    most = None if spec.max_memory is None else {n: int(m) for n, m in spec.max_memory.items()}
    placing = {"device_map": spec.device_map, "max_memory": most, "offload_folder": overflow}
    try:
        model = _load(folder, {**options, **placing})
        _check_shared(model, folder)
    except BaseException:
        shutil.rmtree(overflow, ignore_errors=True)
        raise
    weakref.finalize(model, shutil.rmtree, overflow, ignore_errors=True)
    return model


def _check_shared(model: PreTrainedModel, folder: Path) -> None:
    """Refuse tied weights on the disk: transformers loads them, and then cannot run."""
    names = dict(getattr(model, "all_tied_weights_keys", {}) or {})
    lost = [name for name in names if model.get_parameter(name).device.type == "meta"]
    if lost and not is_safe(weight_files(folder)):
        raise ModelError(
            "weights that are shared cannot stay on the disk where they come as a pickle",
            value=lost[0],
            allowed="the model as safetensors, or memory enough for these",
        )


def _load(folder: Path, options: Mapping[str, Any]) -> PreTrainedModel:
    with silence_transformers():
        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(str(folder), **options)
        except Exception as error:  # whatever can be wrong with files, code or device
            raise library_error(error, "cannot load the model", str(folder)) from error
    model, report = loaded
    _check_report(report, folder)
    checked: PreTrainedModel = model.eval()
    return checked


def move_to(model: PreTrainedModel, device: torch.device) -> None:
    """Move a model to a device."""
    nn.Module.to(model, device)


def in_precision(model: PreTrainedModel, dtype: str) -> PreTrainedModel:
    """Return a copy of a model whose parameters have another precision, on the same device.

    Its buffers, such as the frequencies of RoPE, stay as they are, as when such a model is loaded.

    Args:
        model: The model.
        dtype: The precision, as torch names it.
    """
    wanted = getattr(torch, dtype)
    memo = {
        id(each): nn.Parameter(each.detach().to(wanted), requires_grad=False)
        for each in model.parameters()
    }
    twin = copy.deepcopy(model, memo)  # takes these as the copies
    twin.config.dtype = wanted
    return twin


def pick_device(name: str | None) -> torch.device:
    """Return a device by its name; by default a GPU where there is one.

    Raises:
        ModelError: This machine has no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = ["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
        raise ModelError("no such device here", value=name, allowed=here) from error
    return device


def count_parameters(model: PreTrainedModel) -> tuple[int, int]:
    """Count parameters: tied ones once, quantized ones by their original shape.

    Returns:
        The number of all parameters, and of those outside token embeddings, position embeddings and
        the output layer.
    """
    output = model.get_output_embeddings()
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    outside = {
        id(parameter)
        for module in (*tables, *(() if output is None else (output,)))
        for parameter in module.parameters()
    }
    sizes = {id(parameter): _size(parameter) for parameter in model.parameters()}
    total = sum(sizes.values())
    return total, total - sum(sizes[parameter] for parameter in outside)


def _size(parameter: nn.Parameter) -> int:
    packed = getattr(parameter, "quant_state", None)
    return parameter.numel() if packed is None else math.prod(packed.shape)


def _quantization(bits: Quantization, dtype: Any) -> Any:
    from transformers import BitsAndBytesConfig

    match bits:
        case "8bit":
            return BitsAndBytesConfig(load_in_8bit=True)
        case "4bit":
            compute = torch.float32 if dtype == "auto" else dtype
            return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=compute)
        case _:
            assert_never(bits)


def _unpacking(folder: Path, name: str) -> dict[str, Any]:
    """Return the options that unpack all weights of a GGUF file, whatever kernels are installed."""
    from transformers import AutoConfig
    from transformers.utils import quantization_config

    config = AutoConfig.from_pretrained(str(folder))
    options: dict[str, Any] = {"config": config, "gguf_file": name}
    packed = getattr(quantization_config, "GgufConfig", None)  # transformers 5.24 and later
    if packed is not None:
        options["quantization_config"] = packed(dequantize=True)
    return options


def _check_report(report: Mapping[str, Any], folder: Path) -> None:
    """Refuse faults that transformers only warns of, such as missing weights, which it draws."""
    unexpected = [key for key in report["unexpected_keys"] if not key.endswith(_OLD_BUFFERS)]
    faults: dict[str, Iterable[object]] = {
        "are missing": report["missing_keys"],
        "have no place in the architecture": unexpected,
        "have another shape than config.json says": report["mismatched_keys"],
        "cannot be read": report.get("error_msgs") or (),
    }
    for fault, keys in faults.items():
        names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in keys)
        if names:
            shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise ModelError(f"{len(names)} weights {fault}: {shown}", value=str(folder))
