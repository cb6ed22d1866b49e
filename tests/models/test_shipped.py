from pathlib import Path

import pytest

from icl_gap.errors import ModelError
from icl_gap.models import RandomInitSpec, TransformersSpec, identify, save_random_init, shipped
from icl_gap.models.shipped import shipped_folder, shipped_models


@pytest.fixture
def ships(tmp_path, monkeypatch) -> Path:
    """A folder of models that ship, with one of them in it."""
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path / "weights")
    save_random_init(RandomInitSpec(hidden_size=32, layers=1), tmp_path / "weights" / "nano-opt-s")
    return tmp_path


def test_a_model_that_ships_is_known_by_its_name(ships) -> None:
    assert shipped_models() == ("nano-opt-s",)
    assert shipped_folder("nano-opt-s") == ships / "weights" / "nano-opt-s"
    assert identify(TransformersSpec(model="nano-opt-s")).folder == shipped_folder("nano-opt-s")


@pytest.mark.usefixtures("ships")
def test_a_name_of_their_kind_that_is_none_of_them_is_refused() -> None:
    with pytest.raises(ModelError, match="ships with the package") as raised:
        shipped_folder("nano-opt-xl")
    assert "nano-opt-s" in str(raised.value)
    assert "./nano-opt-xl" in str(raised.value)
    with pytest.raises(ModelError, match="ships with the package"):
        identify(TransformersSpec(model="nano-opt-xl"))


@pytest.mark.usefixtures("ships")
@pytest.mark.parametrize("name", ["facebook/opt-350m", "./nano-opt-s", "gpt2", "a/nano-x"])
def test_other_names_are_hub_names_and_paths_as_ever(name) -> None:
    assert shipped_folder(name) is None


def test_its_name_and_family_are_its_own(ships) -> None:
    identity = identify(TransformersSpec(model="nano-opt-s"))
    assert (identity.name, identity.family) == ("nano-opt-s", "opt")
    config = ships / "weights" / "nano-opt-s" / "config.json"
    config.write_text(
        config.read_text().replace('"model_type"', '"icl_gap_family": "nano-opt",\n"model_type"')
    )
    assert identify(TransformersSpec(model="nano-opt-s")).family == "nano-opt"
    assert identify(TransformersSpec(model="nano-opt-s", family="mine")).family == "mine"


@pytest.mark.usefixtures("ships")
def test_it_has_no_revisions() -> None:
    with pytest.raises(ModelError, match="no revisions"):
        identify(TransformersSpec(model="nano-opt-s", revision="main"))
