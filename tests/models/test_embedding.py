"""Sentence embeddings, and sweeps that choose exemplars by them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import save_embedder
from toys import sweep

from icl_gap.errors import ModelError
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.models import Embedder, EmbedderSpec, find_embedder

WORDS = ("walk", "run", "jump", "twice", "left")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_embedder(tmp_path_factory.mktemp("models"), WORDS)


def embedder(folder: Path) -> Embedder:
    return find_embedder(EmbedderSpec(model=str(folder)))


def test_vectors_have_unit_length_whatever_they_are_embedded_with(folder: Path) -> None:
    texts = ["walk twice", "run left", "walk", "walk twice"]
    together = embedder(folder)(texts)
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(4), abs=1e-6)
    assert (together[0] == together[3]).all()
    assert not np.allclose(together[0], together[1], atol=1e-3)
    alone = embedder(folder)
    for text, vector in zip(texts, together, strict=True):
        assert alone([text])[0] == pytest.approx(vector, abs=1e-6)


def test_a_model_is_its_files_and_not_its_place(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "README.md").write_text("another word")
    key = embedder(folder).key
    assert embedder(copy).key == key
    (copy / "1_Pooling" / "config.json").write_text("{}")
    assert embedder(copy).key != key


def test_a_model_of_the_hub_embeds_from_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--org--tiny"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cached = find_embedder(EmbedderSpec(model="org/tiny"))
    assert cached.key == {"repo": "org/tiny", "commit": commit}
    assert (cached(["walk"]) == embedder(folder)(["walk"])).all()
    with pytest.raises(ModelError, match="not found on the hub"):
        find_embedder(EmbedderSpec(model="org/other"))


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="not a model of sentence-transformers"):
        embedder(tmp_path)(["walk"])


def test_the_library_is_asked_for_by_name(folder: Path, toy_card, monkeypatch) -> None:
    monkeypatch.setattr("icl_gap.models.embedding.find_spec", lambda _: None)
    spec = sweep(toy_card, selection="embedding", embedder=str(folder))
    with pytest.raises(ModelError) as error:
        plan_sweep(spec)
    assert "embedder" in str(error.value)
    assert "icl-gap[embedding]" in str(error.value)


def test_a_sweep_s_cells_are_those_of_its_embedder(folder: Path, toy_card) -> None:
    spec = sweep(toy_card, selection="embedding", embedder=str(folder))
    plan = plan_sweep(spec)
    assert {str(cell.info.spec["embedder"]) for cell in plan.cells} == {str(embedder(folder).key)}
    other = plan_sweep(sweep(toy_card, selection="bm25", embedder=str(folder)))
    assert {cell.info.spec["embedder"] for cell in other.cells} == {None}
    cell = plan.cells[-1]
    embed = embedder(folder)
    for request in plan.requests(cell):
        shown = [example.source for example in request.prompt.exemplars]
        query = embed([request.prompt.source])[0]
        near = [float(vector @ query) for vector in embed(shown)]
        assert near == sorted(near, reverse=True)
