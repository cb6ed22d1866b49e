import json
import shutil
from pathlib import Path

import pytest
from toys import sweep

from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import TransformersSpec, shipped
from icl_gap.nano import model_cards as cards
from icl_gap.nano.train import train
from icl_gap.nano.training_recipe import Recipe


@pytest.fixture
def trained(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path / "weights")
    for recipe in (
        Recipe("codegen", "xxs", steps=2, warm_up=1),
        Recipe("codegen", "xxs", steps=3, warm_up=1, seed=7, control=True),
    ):
        train(recipe, tmp_path / "weights" / recipe.name)
    return tmp_path


def test_a_card_tells_how_a_model_was_trained_and_what_it_can_do(trained) -> None:
    names = ("nano-codegen-xxs", "nano-codegen-xxs-control-seed7")
    models = [TransformersSpec(model=name) for name in names]
    evaluate_sweep(sweep("scan", models=models, limit=2), trained / "results")
    cards.write_model_cards([str(trained / "results")])
    texts = ((trained / "weights" / name / "README.md").read_text() for name in names)
    default, control = (" ".join(text.split()) for text in texts)
    assert "A CodeGen of 2 layers and width 32" in default
    assert "Default family.** Of SCAN's 903 command patterns" in default
    assert "the 170 that occur only in the test sets of mcd1 and length" in default
    assert "--family codegen --size xxs --steps 2 --warm-up 1`" in default
    assert "| mcd1, test queries | ID | 0.000 | 0.000 |" in default
    assert "| mcd1, train queries | OOD | 0.000 | 0.000 |" in default
    assert "(4 requests a number)" in default
    assert "| training seed | 0 |" in default
    assert "| training seed | 7 |" in control
    assert "Control family" in control
    assert "--size xxs --control --seed 7 --steps 3 --warm-up 1`." in control
    assert "| steps | 3, 1 of them" in control


def test_a_card_says_when_todays_curriculum_is_another(trained) -> None:
    evaluate_sweep(sweep("scan", models=["nano-codegen-xxs"], limit=2), trained / "results")
    shutil.rmtree(trained / "weights" / "nano-codegen-xxs-control-seed7")
    told = trained / "weights" / "nano-codegen-xxs" / "training_args.json"
    args = json.loads(told.read_text())
    args["levels"][-1]["length"] = 448
    told.write_text(json.dumps(args))
    cards.write_model_cards([str(trained / "results")])
    card = " ".join((told.parent / "README.md").read_text().split())
    assert "in rows of at most 448" in card
    assert "those of an earlier recipe" in card


def test_a_model_that_was_not_measured_is_an_error(trained, capsys) -> None:
    evaluate_sweep(sweep("scan", models=["nano-codegen-xxs"], limit=2), trained / "results")
    with pytest.raises(SystemExit):
        cards.write_model_cards([str(trained / "results")])
    assert "nano-codegen-xxs-control-seed7" in capsys.readouterr().err
    assert not (trained / "weights" / "nano-codegen-xxs" / "README.md").exists()


def test_what_training_tells_is_not_part_of_who_a_model_is(trained) -> None:
    from icl_gap.models import identify

    spec = TransformersSpec(model="nano-codegen-xxs")
    before = identify(spec).key
    told = trained / "weights" / "nano-codegen-xxs" / cards.TRAINING
    told.write_text(json.dumps({"other": True}))
    assert identify(spec).key == before
