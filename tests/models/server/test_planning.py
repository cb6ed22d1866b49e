"""A sweep that asks a server is planned without asking it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from toys import sweep
from typer.testing import CliRunner

from icl_gap.cli import app
from icl_gap.errors import InputError, ModelError
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.models import (
    OpenAISpec,
    TransformersSpec,
    identify,
    load_model,
    load_tokenizer,
    measure_footprint,
)

AWAY = {"kind": "openai", "model": "code-davinci-002", "base_url": "https://example.invalid/v1"}
NAME = "nano-codegen-m"


def spec(**fields: Any) -> OpenAISpec:
    return OpenAISpec.model_validate({**AWAY, **fields})


def test_the_plan_shows_requests_and_needs_no_key(tmp_path) -> None:
    path = tmp_path / "sweep.yaml"
    fields = {"shots": [1], "seeds": [0], "limit": 3}
    path.write_text(yaml.safe_dump({"name": "s", "datasets": ["scan"], "models": [AWAY], **fields}))
    done = subprocess.run(
        [sys.executable, "-m", "icl_gap.cli", "plan", str(path)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "code-davinci-002" in done.stdout
    assert "4 cells, 12 requests" in done.stdout


def test_the_plan_shows_which_key_goes_where_and_never_the_key(
    toy_card, tmp_path, monkeypatch
) -> None:
    key = "sk-never-to-be-shown"
    monkeypatch.setenv("MY_KEY", key)
    here = {"kind": "openai", "model": "here", "base_url": "http://127.0.0.1:9/v1"}
    away = {**AWAY, "api_key_env": "MY_KEY", "model_alias": "davinci-2"}
    plain = {**here, "model": "lan", "base_url": "http://10.0.0.8:8000/v1"}
    models = [away, here, {**plain, "allow_plain_http": True}]
    path = tmp_path / "sweep.yaml"
    fields = {"name": "s", "datasets": [toy_card], "shots": [0], "limit": 2}
    path.write_text(yaml.safe_dump({**fields, "models": models}))
    shown = CliRunner().invoke(app, ["plan", str(path)], catch_exceptions=False)
    assert shown.exit_code == 0
    rows = [re.split(r"\s{2,}", line.strip()) for line in shown.output.splitlines()]
    name, url = AWAY["model"], AWAY["base_url"]
    assert [name, url, "MY_KEY", f"{name}, davinci-2"] in rows
    assert ["here", here["base_url"], "OPENAI_API_KEY", "here"] in rows
    assert ["lan", plain["base_url"], "OPENAI_API_KEY", "lan"] in rows
    assert key not in shown.output


def test_a_plan_names_the_line_of_a_server_that_would_get_the_key_in_plain_text(
    toy_card, tmp_path
) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(
        f"name: s\ndatasets: [{toy_card}]\nshots: [0]\nmodels:\n"
        "  - kind: openai\n    model: m\n    base_url: http://10.0.0.8:8000/v1\n"
    )
    with pytest.raises(InputError, match="plain text") as raised:
        CliRunner().invoke(app, ["plan", str(path)], catch_exceptions=False)
    assert (raised.value.place.line, raised.value.place.key) == (7, "models[0].base_url")


def test_its_tokenizer_measures_prompts_and_draws_the_exemplars_of_its_model() -> None:
    fields = {"tokenizer": NAME, "context_length": 1024, "api": "completions"}
    served, local = (
        plan_sweep(sweep("scan", models=[model])) for model in ({**AWAY, **fields}, NAME)
    )
    assert [served.sizes(cell) for cell in served.cells] == [
        local.sizes(cell) for cell in local.cells
    ]
    assert served.sizes(served.cells[0]).prompt_tokens
    assert [[request.prompt for request in served.requests(cell)] for cell in served.cells] == [
        [request.prompt for request in local.requests(cell)] for cell in local.cells
    ]


def test_it_has_no_weights_and_the_tokenizer_that_is_named() -> None:
    plain, named = spec(), spec(tokenizer=NAME)
    assert measure_footprint(plain, identify(plain)) is None
    assert load_tokenizer(plain, identify(plain)) is None
    assert load_tokenizer(named, identify(named)).encode(" WALK")
    assert identify(named).tokenizer == identify(TransformersSpec(model=NAME)).tokenizer
    assert identify(named).key != identify(plain).key


def test_a_folder_without_a_tokenizer_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="holds no tokenizer"):
        identify(spec(tokenizer=str(tmp_path)))


def test_checkpoints_of_a_server_are_models_of_their_own() -> None:
    plain = identify(spec())
    step = identify(spec(revision="step1000", training_seed=1))
    assert step.name == f"{plain.name}@step1000-seed1"
    assert (step.revision, step.training_seed) == ("step1000", 1)
    assert plain.key.keys() & {"revision", "training_seed"} == set()
    assert step.key == {**plain.key, "revision": "step1000", "training_seed": 1}
    assert step.family == plain.family


def test_what_is_stated_of_it_is_known_of_it(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    stated = spec(
        family="codex",
        n_params=12_000_000_000,
        n_params_non_embedding=11_000_000_000,
        training_tokens=100_000_000_000,
        size_source="estimated",
        api="completions",
        logprobs="none",
        name="davinci",
    )
    info = load_model(stated, identify(stated)).info
    assert (info.name, info.family, info.device) == ("davinci", "codex", "example.invalid")
    assert (info.n_params, info.n_params_non_embedding) == (12_000_000_000, 11_000_000_000)
    assert (info.size_source, info.training_tokens) == ("estimated", 100_000_000_000)
    assert info.trained


@pytest.mark.parametrize("end", ["/chat/completions", "/completions", "/chat/completions/"])
def test_an_address_that_ends_in_an_endpoint_is_told_what_to_be(end) -> None:
    with pytest.raises(ModelError, match="base_url ends in") as raised:
        identify(spec(base_url=f"https://example.invalid/v1{end}"))
    assert raised.value.allowed == "`base_url: https://example.invalid/v1`"
    assert raised.value.place.key == "base_url"
