"""Bad input of every kind, thrown at whatever reads files: for Hypothesis and for `make fuzz`.

A target writes bytes to a file and reads it as a user would. It passes if nothing comes of it but a
result or an error of the package's own, if nothing was written outside its folder, and nothing read
that lies around it.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from stored import INFO, SOME, fresh, path_of, write
from studies import save_card

from icl_gap.cli import main
from icl_gap.data import cache
from icl_gap.data.archives import unpack_archive
from icl_gap.data.examples import Sides
from icl_gap.data.loaders import SplitInputs, cfq, geoquery, gsm
from icl_gap.errors import InputError
from icl_gap.schema import Example

Target = Callable[[Path, bytes], None]
_watched: list[Path] = []
"""The folders that may be written to, while a target runs."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
}
_WITHIN = {"os.mkdir", "os.remove", "os.rmdir"}
"""Their last argument is the folder that a path is relative to, or -1."""


class OutsideError(Exception):
    """Something outside the target's folder was written, or something beside it read."""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched or (event != "open" and event not in _CHANGES):
        return
    path = arguments[0]
    if not isinstance(path, str | bytes | os.PathLike):
        return
    within = arguments[-1] if event in _WITHIN else -1
    folder = "" if within == -1 else f"/proc/self/fd/{within}"
    real = Path(os.path.realpath(Path(folder, os.fsdecode(path))))
    reads = event == "open" and not (arguments[2] or 0) & _WRITING
    beside = _watched[0].parent in real.parents  # that folder itself is opened to be synced
    may = real == Path(os.devnull) or any(map(real.is_relative_to, _watched))
    if not may and (beside or not reads):
        raise OutsideError(event, str(real))


sys.addaudithook(_audit)


@contextlib.contextmanager
def only_in(folder: Path) -> Iterator[None]:
    """Let nothing be written outside a folder and the package's cache, nor read beside them."""
    _watched.extend(place.resolve() for place in (folder, Path(os.environ["ICL_GAP_CACHE"])))
    try:
        yield
    finally:
        _watched.clear()


def command(*arguments: object) -> int:
    """Run a command in this process, and return its exit code; what it prints must be plain."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    argv = ["icl-gap", *map(str, arguments)]
    with (
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    for text in (out.getvalue(), err.getvalue()):
        odd = {c for c in text if not (c.isprintable() or c == "\n")}
        assert not odd, f"{odd} reached the terminal"
        assert "Traceback" not in text
    assert code in {0, 1, 2}, err.getvalue()
    return code


def sweep(folder: Path, content: bytes) -> None:
    """A sweep file, planned."""
    path = folder / "sweep.yaml"
    path.write_bytes(content)
    command("plan", path)


def card(folder: Path, content: bytes) -> None:
    """A benchmark's card."""
    path = folder / "card.yaml"
    path.write_bytes(content)
    command("data", "info", path)


def recipe(folder: Path, content: bytes) -> None:
    """A figure's recipe, for results of no cell."""
    path = folder / "recipe.yaml"
    path.write_bytes(content)
    command("plot", fresh(folder), "--recipe", path, "--out", folder / "figures")


def predictions(folder: Path, content: bytes) -> None:
    """Predictions to score."""
    path = folder / "predictions.jsonl"
    path.write_bytes(content)
    for dataset in ("scan", "cfq", "geoquery"):
        command("score", path, "--benchmark", dataset)


def rows(folder: Path, content: bytes) -> None:
    """The rows of a benchmark of pairs."""
    if not (folder / "toy.yaml").exists():
        save_card(folder)
    (folder / "toy" / "test.tsv").write_bytes(content)
    path = folder / "sweep.yaml"
    path.write_text(
        f'{{name: s, datasets: ["{folder / "toy.yaml"}"], models: [nearest], shots: [1], limit: 3}}'
    )
    command("prompts", path, "--n", 3)
    command("data", "info", folder / "toy.yaml")


def config(folder: Path, content: bytes) -> None:
    """The `config.json` of a model."""
    _model(folder, "config.json", content)


def index(folder: Path, content: bytes) -> None:
    """The index of a model's weights."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text('{"model_type": "opt"}')
    _model(folder, "model.safetensors.index.json", content)


def weights(folder: Path, content: bytes) -> None:
    """A model's weights."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text('{"model_type": "opt"}')
    _model(folder, "model.safetensors", content)


def _model(folder: Path, name: str, content: bytes) -> None:
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / name).write_bytes(content)
    path = folder / "sweep.yaml"
    path.write_text(f'{{name: s, datasets: [scan], models: ["{model}"], limit: 2}}')
    command("prompts", path)


def numbers(folder: Path, content: bytes) -> None:
    """The row numbers of a benchmark's split."""
    path = folder / "split.json"
    path.write_bytes(content)
    for read in (cfq.row_numbers, lambda path: geoquery._members(path, 880)):
        with contextlib.suppress(InputError):
            read(path)


def questions(folder: Path, content: bytes) -> None:
    """Rows in the form of GSM8K."""
    path = folder / "questions.jsonl"
    path.write_bytes(content)
    for name in ("composed", "first"):
        with contextlib.suppress(InputError):
            gsm.read_gsm(SplitInputs("gsm", name, [path, path]), solutions=name == "first")


def zipped(folder: Path, content: bytes) -> None:
    """A benchmark's archive, a zip."""
    path = folder / "archive"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        unpack_archive(path, folder / "archives" / "unpacked", limit=10**6)


def tarred(folder: Path, content: bytes) -> None:
    """A tar, damaged before it is compressed."""
    zipped(folder, gzip.compress(content, 1))


def kept(folder: Path, content: bytes) -> None:
    """A parsed benchmark in the cache: what was kept comes back, or nothing."""
    path = folder / "kept.arrow"
    path.write_bytes(content)
    assert cache.read_cached(path) in (None, KEPT)


def answers(folder: Path, content: bytes) -> None:
    """The answers of a mock model."""
    (folder / "answers.jsonl").write_bytes(content)
    path = folder / "sweep.yaml"
    path.write_text(
        f"{{name: s, datasets: [scan], models: [{{kind: mock, answers: "
        f'"{folder / "answers.jsonl"}"}}], shots: [0], seeds: [0], limit: 1, figures: []}}'
    )
    command("run", path, "--out", folder / "run")


def cell(folder: Path, content: bytes) -> None:
    """A cell's file in a results folder."""
    results = fresh(folder)
    path_of(results).write_bytes(content)
    for name in ("verify", "repair"):
        command("store", name, results)
    command("analyze", results)
    write(results, SOME)
    assert command("store", "verify", results) == 0


def manifest(folder: Path, content: bytes) -> None:
    """The manifest of a results folder."""
    results = fresh(folder)
    write(results, SOME)
    (results / "sweep.json").write_bytes(content)
    command("store", "verify", results)
    command("analyze", results)


TARGETS: Mapping[str, Target] = {
    each.__name__: each
    for each in (
        sweep,
        card,
        recipe,
        predictions,
        rows,
        config,
        index,
        weights,
        numbers,
        questions,
        zipped,
        tarred,
        kept,
        answers,
        cell,
        manifest,
    )
}


KEPT = (Sides([Example("a-1", "a b", "A B")], [Example("a-2", "c", "C")]), "0" * 64)
FILES = {"d/train.tsv": b"a\tA\n" * 9, "test.tsv": b"b\tB\n"}


def _kept(folder: Path) -> bytes:
    cache.write_cached(folder / "kept.arrow", *KEPT)
    return (folder / "kept.arrow").read_bytes()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()[:4096]


def examples(folder: Path) -> dict[str, bytes]:
    """A good file for each target, to change at random."""
    results = fresh(folder)
    write(results, SOME)
    good_card = Path(save_card(folder / "benchmark")).read_bytes()
    toy = folder / "benchmark" / "toy.yaml"
    return {
        "sweep": f"""\
name: s
datasets: [{{name: "{toy}", split: plain}}]
models: [nearest, {{kind: mock, default: a, name: m}}]
shots: [1, 2]
seeds: [0, 1]
limit: 3
query_splits: [test, train]
conditions: [id, ood]
selection: oracle_coverage
overflow: skip
""".encode(),
        "card": good_card,
        "recipe": b"kind: curve\nname: a\nx: n_params\ny: gap\ntitle: t\nformats: [svg]\n",
        "predictions": b'{"id": "1", "prediction": "a b", "target": "a  b"}\n' * 3,
        "rows": b"a b\tA B\nc d\tC D\ne\tE\n",
        "config": b'{"model_type": "opt", "hidden_size": 16, "max_position_embeddings": 64}',
        "index": b'{"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "../x"}}',
        "weights": bytes([72, 0, 0, 0, 0, 0, 0, 0])
        + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(72)
        + bytes(4),
        "numbers": b'{"train": [1, 2], "test": [3], "trainIdxs": [1], "testIdxs": [2]}',
        "questions": b'{"question": "3 of 4?", "answer": "so <<3*4=12>>12 #### 12"}\n'
        b'{"question": "12 more?", "answer": "#### 1,024"}\n',
        "zipped": _zip(),
        "tarred": _tar(),
        "kept": _kept(folder),
        "answers": b'{"query_id": "scan-1", "text": "JUMP"}\n{"query_id": "a", "error": "e"}\n',
        "cell": path_of(results).read_bytes(),
        "manifest": (results / "sweep.json").read_bytes(),
    }


__all__ = ["INFO", "TARGETS", "examples", "only_in"]
