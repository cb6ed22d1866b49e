"""Keys come from the environment, and are nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from serving import Connection, Server, serving

from icl_gap.errors import ModelError
from icl_gap.models import ApiSpec, identify, load
from icl_gap.models.api.failures import told

KEY = "sk-Zx81-not-to-be-told"
FIELDS = {"shots": [1], "seeds": [0], "limit": 2, "figures": []}


def run(server: Server, tmp_path: Path, card: str, **fields: Any) -> tuple[int, str]:
    """Run a sweep as a user does, with all the logging that there is; give code and output."""
    model = {"kind": "api", "model": "m", "base_url": server.url, "api_key_env": "MY_KEY", **fields}
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({"name": "s", "datasets": [card], "models": [model], **FIELDS}))
    done = subprocess.run(
        [sys.executable, "-m", "icl_gap.cli", "run", str(path), "--out", str(tmp_path / "out")],
        env={**os.environ, "MY_KEY": KEY, "OPENAI_LOG": "debug", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert server.headers
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    return done.returncode, done.stdout + done.stderr


def files(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_a_key_is_not_told_where_all_goes_well(toy_card, tmp_path) -> None:
    with serving(lambda c, _: c.send_text(" A 1")) as server:
        code, shown = run(server, tmp_path, toy_card)
    assert code == 0, shown
    kept = files(tmp_path / "out")
    assert '"prompt_tokens": 7' in kept or '"prompt_tokens":7' in kept
    assert "MY_KEY" in kept
    assert KEY not in kept + shown
    assert "HTTP Request" not in shown


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500])
def test_a_key_that_the_server_repeats_is_not_told(toy_card, tmp_path, status) -> None:
    def tell(connection: Connection, _: object) -> None:
        told = {"message": f"bad key {connection.headers['authorization']}"}
        connection.send_json({"error": told}, status)

    with serving(tell) as server:
        code, shown = run(server, tmp_path, toy_card, logprobs="none", tries=1)
    assert code == 1
    assert "failed on" in shown
    assert KEY not in shown + files(tmp_path / "out")


@pytest.mark.parametrize("before", range(170, 210))
def test_a_key_at_the_edge_of_what_is_shown_is_not_told_in_part(before) -> None:
    shown = told("x" * before + KEY + "y" * 20, KEY)
    assert len(shown) <= 200
    assert "sk-" not in shown


def spec(**fields: Any) -> ApiSpec:
    return ApiSpec.model_validate({"kind": "api", "model": "m", "logprobs": "none", **fields})


def test_a_server_elsewhere_needs_a_key(monkeypatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    elsewhere = spec(base_url="https://example.org/v1", api_key_env="SOME_KEY")
    with pytest.raises(ModelError, match=r"SOME_KEY holds no key for https://example\.org/v1"):
        load(elsewhere, identify(elsewhere))


@pytest.mark.parametrize("key", ["two words", "a\nb", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(monkeypatch, key) -> None:
    monkeypatch.setenv("SOME_KEY", key)
    one = spec(api_key_env="SOME_KEY")
    with pytest.raises(ModelError, match="no key") as raised:
        load(one, identify(one))
    assert key not in str(raised.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": f"https://user:{KEY}@example.org/v1"},
        {"base_url": f"https://example.org/v1?key={KEY}"},
        {"api_key_env": KEY},
    ],
)
def test_a_key_in_the_sweep_is_refused_unseen(fields) -> None:
    with pytest.raises(ModelError) as raised:
        identify(spec(**fields))
    assert KEY not in str(raised.value)


def test_the_identity_holds_neither_key_nor_price(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    plain = identify(spec(family="codex", context_length=2048))
    dear = identify(spec(price={"prompt": 2, "completion": 3}, max_cost=1, tries=2, deadline=9))
    assert plain.key | {"context_length": None} == dear.key
    assert (plain.name, plain.family, plain.trained) == ("m", "codex", True)
    assert KEY not in repr(plain)
    assert identify(spec(base_url="https://example.org/v1/")).key != plain.key
