"""The command line as a user meets it: what it prints, writes and ends with."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import yaml
from geography import LONGEST, RIVERS, save_geography

from icl_gap.evaluation.config import read_sweep
from icl_gap.results import load_results, open_results

COMMANDS = (
    "init",
    "run",
    "plan",
    "prompts",
    "analyze",
    "diagnose",
    "split",
    "plot",
    "report",
    "cite",
    "score",
    "models",
    "schema",
    "data",
    "store",
)


def test_help_names_every_command(cli) -> None:
    outcome = cli("--help")
    assert outcome.code == 0
    assert all(re.search(rf"^  {name} ", outcome.out, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command) -> None:
    outcome = cli(command, "--help")
    assert outcome.code == 0
    assert "Usage" in outcome.out


@pytest.mark.parametrize("command", [(), ("data",), ("store",)])
def test_no_help_text_is_cut_at_80_columns(cli, monkeypatch, command) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli(*command, "--help").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and "COMMAND" not in line]


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "matplotlib", "numpy", "pydantic", "datasets", "scipy")
    code = (
        "import sys\nfrom icl_gap.cli import app\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_run_shows_a_table_and_draws_figures(cli, sweep, tmp_path) -> None:
    out = tmp_path / "results"
    outcome = cli("run", sweep, "--out", out)
    assert outcome.code == 0, outcome.err
    # A machine that takes seconds to measure or to load a model says so.
    slow = ("info: measuring ", "info: reading ", "info: loading ")
    assert all(line.startswith(slow) for line in outcome.err.splitlines())
    assert "toy/plain" in outcome.out
    assert "(untrained)" in outcome.out
    assert "(untrained) (untrained)" not in outcome.out
    assert "unresolved" in outcome.out
    for kind in ("png", "pdf", "svg", "csv"):
        assert (out / "figures" / f"gap_vs_scale.{kind}").stat().st_size > 0
    assert str(out / "figures" / "gap_vs_scale.png") in outcome.out
    assert len(open_results(out)) == 32


def test_run_again_says_the_same(cli, sweep, tmp_path) -> None:
    first = cli("run", sweep, "--out", tmp_path / "results")
    again = cli("run", sweep, "--out", tmp_path / "results")
    assert (again.code, again.out) == (first.code, first.out)
    assert "cells whole, 0 requests to ask" in again.err


@pytest.mark.parametrize("method", ["random", pytest.param("mcd", marks=pytest.mark.slow)])
def test_a_benchmark_is_divided_anew(cli, tmp_path, method) -> None:
    done = cli("split", "scan", "--method", method, "--out", tmp_path)
    assert done.code == 0
    assert "divergence of atoms 0.0" in done.out
    assert cli("data", "info", tmp_path / f"scan-{method}.yaml").code == 0
    again = cli("split", "scan", "--method", method, "--out", tmp_path)
    assert again.code == 2
    assert "already" in again.err


def test_results_are_diagnosed(cli, sweep, tmp_path) -> None:
    out = tmp_path / "out"
    assert cli("run", sweep, "--out", out).code == 0
    told = cli("diagnose", out)
    assert told.code == 0
    for title in ("coverage of queries by their exemplars", "divergence of", "at equal coverage"):
        assert title in told.out
    found = json.loads(cli("diagnose", out, "--json").out)
    assert found.keys() == {
        "coverage",
        "divergences",
        "explained",
        "error_types",
        "matched",
        "notes",
    }


def test_a_renamed_command_answers_with_its_new_name(cli, tmp_path) -> None:
    for arguments in ((), ("--help",), (tmp_path, "--json")):
        ended = cli("audit", *arguments)
        assert ended == (2, "", "icl-gap: `icl-gap audit` is now `icl-gap diagnose`\n")


def test_results_are_analyzed_and_plotted_on_their_own(cli, sweep, tmp_path) -> None:
    out = tmp_path / "results"
    ran = cli("run", sweep, "--out", out)
    analyzed = cli("analyze", out)
    assert analyzed.code == 0
    assert analyzed.out.splitlines()[1:5] == ran.out.splitlines()[1:5]
    as_json = json.loads(cli("analyze", out, "--json").out)
    assert {point["model"] for point in as_json["points"]} >= {"nearest"}
    drawn = cli("plot", out, "--recipe", "accuracy_vs_shots", "--out", tmp_path / "figures")
    assert drawn.code == 0
    with (tmp_path / "figures" / "accuracy_vs_shots.csv").open() as file:
        assert {row["model"] for row in csv.DictReader(file)} >= {"nearest"}


def test_analyze_compares_and_clusters(cli, sweep, tmp_path) -> None:
    fields = {**yaml.safe_load(sweep.read_text()), "models": ["nearest"], "shots": [1, 2]}
    for name, selection in (("one", "oracle_coverage"), ("two", "random")):
        changed = tmp_path / f"{name}.yaml"
        changed.write_text(yaml.safe_dump({**fields, "selection": selection, "figures": []}))
        assert cli("run", changed, "--out", tmp_path / name).code == 0
    one, two = tmp_path / "one", tmp_path / "two"
    compared = cli("analyze", one, "--compare", "shots=1", "shots=2", "--json")
    assert compared.code == 0
    found = json.loads(compared.out)["comparisons"]
    assert [(each["model"], each["first"], each["second"]) for each in found] == [
        ("nearest", "1", "2")
    ] * 3
    arguments = ("--beside", two, "--compare", "selection=random", "selection=oracle_coverage")
    both = cli("analyze", one, *arguments, "--cluster", "template", "--json")
    assert both.code == 0
    analysis = json.loads(both.out)
    assert {point["selection"] for point in analysis["points"]} == {"random", "oracle_coverage"}
    assert analysis["cluster"] == "template"
    assert all(1 < each["n_clusters"] <= each["n_queries"] for each in analysis["points"])
    assert len(analysis["comparisons"]) == 2 * 3
    unknown = cli("analyze", one, "--compare", "nearest", "opt-350m")
    assert unknown.code == 2
    assert "no gap has this `model`" in unknown.err


def test_plot_without_a_recipe_draws_all_that_have_something_to_show(cli, sweep, tmp_path) -> None:
    fields = {**yaml.safe_load(sweep.read_text()), "models": ["nearest"], "figures": []}
    sweep.write_text(yaml.safe_dump(fields))
    out = tmp_path / "results"
    assert cli("run", sweep, "--out", out).code == 0
    drawn = cli("plot", out)
    assert drawn.code == 0, drawn.err
    lines = drawn.out.splitlines()
    names = ("accuracy_vs_shots", "cells", "gap_vs_ood", "gap_vs_shots", "ood_vs_id")
    assert {path.stem for path in (out / "figures").iterdir()} == set(names)
    assert [line for line in lines if line.startswith("note: ")] == [
        "note: accuracy_vs_scale is not drawn: no model has a number of parameters",
        "note: gap_vs_compute is not drawn: no model has a number of training FLOPs",
        "note: gap_vs_scale is not drawn: no model has a number of parameters",
        "note: smooth_gap_vs_scale is not drawn: no model has a number of parameters",
    ]
    assert len(lines) == 9


def test_plot_of_results_with_no_gap_is_an_error_that_says_why(cli, sweep, tmp_path) -> None:
    fields = {
        **yaml.safe_load(sweep.read_text()),
        "models": ["nearest"],
        "conditions": ["id"],
        "figures": [],
    }
    sweep.write_text(yaml.safe_dump(fields))
    out = tmp_path / "results"
    assert cli("run", sweep, "--out", out).code == 0
    drawn = cli("plot", out)
    assert drawn.code == 1
    assert drawn.err.count("no model has both its ID and its OOD cells") == 1
    assert not (out / "figures").exists()


def test_plan_shows_the_grid_and_runs_nothing(cli, sweep, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("icl_gap.models.load_model", None)
    outcome = cli("plan", sweep)
    assert outcome.code == 0
    assert "32 cells, 160 requests" in outcome.out
    assert "400" in outcome.out
    for said in ("tokens written", "after sharing", "TFLOP", "estimated time"):
        assert said in outcome.out
    assert "note: with 0 shots ID and OOD are one prompt" in outcome.out
    assert "80% power" not in outcome.out  # of models that no fit uses
    assert not (tmp_path / "results").exists()


def test_plan_says_what_multiplies_and_what_is_left_to_the_defaults(
    cli, toy_card, tmp_path
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ndatasets: [{toy_card}]\nmodels: [nearest]\nlimit: 20\n")
    said = " ".join(cli("plan", path).out.split())
    assert (
        "1 model, 1 benchmark, 3 numbers of shots, 2 sides, 2 conditions, 5 seeds, up to 20 "
        "queries a side: 60 cells, 1,200 requests by default shots: [1, 5, 10], seeds: "
        "[0, 1, 2, 3, 4], query_splits: [test, train], conditions: [id, ood]"
    ) in said


def test_plan_says_what_is_kept_and_counts_the_rest(cli, sweep, tmp_path) -> None:
    out = tmp_path / "out"
    assert "kept" not in cli("plan", sweep, "--out", out).out
    assert cli("run", sweep, "--out", out).code == 0
    planned = cli("plan", sweep, "--out", out).out
    assert re.search(r"kept: (\d+) of \1 cells whole, 0 requests to ask", " ".join(planned.split()))
    next((out / "cells").glob("*.jsonl")).unlink()
    again = cli("run", sweep, "--out", out)
    assert "cells whole, " in again.err


def test_a_trial_asks_a_part_into_a_folder_of_its_own(cli, sweep, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("run", sweep, "--limit", "2", "--shots", "1", "--models", "nearest")
    assert outcome.code == 0
    name = read_sweep(sweep).name
    assert [path.name for path in (tmp_path / "results").iterdir()] == [f"{name}-trial"]
    frame = load_results(tmp_path / "results" / f"{name}-trial")
    assert {*frame["shots"]} == {1}
    assert {*frame["model"]} == {"nearest"}
    assert frame.groupby("cell").size().max() == 2
    assert cli("run", sweep, "--models", "neares").code == 2


def test_prompts_shows_what_a_model_sees(cli, sweep) -> None:
    # the last cell: untrained, train queries, OOD, 3 shots, seed 1
    outcome = cli("prompts", sweep, "--cell", 31, "--n", 2)
    assert outcome.code == 0
    assert outcome.out.count("Answer.\n\nQ: ") == 2
    assert outcome.out.count("\nA: ") == 2 * 3
    assert re.search(r"toy-\S+, \d+ tokens, coverage", outcome.out)
    assert cli("prompts", sweep, "--cell", 32).code == 2


def test_prompts_shows_the_messages_of_a_chat(cli, toy_card, tmp_path) -> None:
    model = {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "api": "chat"}
    path = tmp_path / "chat.yaml"
    fields = {"name": "s", "datasets": [toy_card], "shots": [1], "seeds": [0], "limit": 2}
    path.write_text(yaml.safe_dump({**fields, "models": [model]}))
    outcome = cli("prompts", path)
    assert outcome.code == 0
    assert re.search(
        r"\[system\]\nAnswer.\n\[user\]\nQ: .*\nA:\n\[assistant\]\n.*\n\[user\]\nQ: ", outcome.out
    )


def test_score_reads_anyone_s_file(cli, tmp_path) -> None:
    path = tmp_path / "predictions.jsonl"
    pairs = [("WALK", "WALK"), ("WALK  RUN", "WALK RUN"), ("", "WALK"), ("RUN", "WALK")]
    path.write_text("\n".join(json.dumps({"prediction": p, "target": t}) for p, t in pairs))
    outcome = cli("score", path, "--benchmark", "scan")
    assert outcome.code == 0
    assert re.search(r"raw exact match\s+0.2500  \[0.0456, 0.6994\]\n", outcome.out)
    assert re.search(r"canonical exact match\s+0.5000  \[0.1500, 0.8500\]\n", outcome.out)
    assert re.search(r"execution match\s+0.5000 ", outcome.out)
    assert "95% intervals are Wilson's" in outcome.out
    assert "spacing" in outcome.out


def test_score_writes_a_line_for_each_prediction(cli, tmp_path) -> None:
    path, out = tmp_path / "predictions.jsonl", tmp_path / "scores.jsonl"
    rows = [
        {"id": "a", "prediction": "WALK  RUN", "target": "WALK RUN"},
        {"prediction": "WALK", "target": "WALK", "model": "m"},
        {"id": 7, "prediction": "\ud800", "target": "WALK"},
    ]
    path.write_text("\n\n".join(map(json.dumps, rows)))
    outcome = cli("score", path, "--benchmark", "scan", "--out", out)
    assert outcome.code == 0
    assert f"scores: {out}" in outcome.out
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    outcomes = [(row["line"], row["id"], row["raw"], row["canonical"]) for row in found]
    assert outcomes == [(1, "a", False, True), (3, None, True, True), (5, "7", False, False)]
    assert [row["reason"] for row in found][:2] == ["spacing", None]
    assert [row["prediction"] for row in found] == [row["prediction"] for row in rows]
    assert list(found[0]) == [
        "id", "prediction", "target", "line", "raw", "canonical", "execution", "reason"
    ]  # fmt: skip


def test_score_replaces_neither_its_input_nor_anything_after_a_fault(cli, tmp_path) -> None:
    path, out = tmp_path / "predictions.jsonl", tmp_path / "scores.jsonl"
    path.write_text('{"prediction": "a", "target": "b"}\nno JSON\n', encoding="utf-8")
    out.write_text("kept", encoding="utf-8")
    assert cli("score", path, "--benchmark", "scan", "--out", out).code == 2
    assert out.read_text(encoding="utf-8") == "kept"
    outcome = cli("score", path, "--benchmark", "scan", "--out", path)
    assert (outcome.code, "would replace the predictions" in outcome.err) == (2, True)
    outcome = cli("score", path, "--benchmark", "scan", "--out", tmp_path / "none" / "scores.jsonl")
    assert (outcome.code, "cannot write the scores" in outcome.err) == (2, True)


def score_pairs(cli, folder, rows, dataset="geoquery") -> Any:
    path = folder / "predictions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return cli("score", path, "--benchmark", dataset)


@pytest.mark.usefixtures("data_root")
def test_score_runs_the_published_programs(cli, tmp_path) -> None:
    row = {"prediction": "answer ( city )", "target": "answer ( intersection ( city , all ) )"}
    outcome = score_pairs(cli, tmp_path, [{**row, "id": "geo-0"}, {**row, "id": "geo-879"}])
    assert outcome.code == 0
    assert re.search(r"canonical exact match\s+0.0000", outcome.out)
    assert re.search(r"execution match\s+1.0000 ", outcome.out)


@pytest.fixture
def geography(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ICL_GAP_DATA", str(save_geography(tmp_path / "data")))


@pytest.mark.usefixtures("geography")
def test_all_metrics_of_a_score_have_one_denominator(cli, tmp_path) -> None:
    rows = [
        {"prediction": prediction, "target": RIVERS, "id": id_}
        for prediction, id_ in [
            (LONGEST, "geo-1"),
            (LONGEST, "geo-0"),
            ("answer ( nothing ( city ) )", "geo-1"),  # cannot be run
            ("answer (", "geo-1"),  # is no program
            (RIVERS, "geo-0"),
        ]
    ]
    outcome = score_pairs(cli, tmp_path, rows)
    assert outcome.code == 0
    assert re.search(r"raw exact match\s+0.2000", outcome.out)
    assert re.search(r"execution match\s+0.4000 ", outcome.out)


@pytest.mark.usefixtures("geography")
def test_a_prediction_without_an_id_leaves_execution_unmeasured(cli, tmp_path) -> None:
    row = {"prediction": LONGEST, "target": RIVERS}
    outcome = score_pairs(cli, tmp_path, [{**row, "id": "geo-1"}, row])
    assert outcome.code == 0
    assert "execution match        not measured: 1 of 2 predictions" in outcome.out
    assert '"geo-0"' in outcome.out


@pytest.mark.usefixtures("geography")
def test_ids_that_a_benchmark_does_not_have_are_refused(cli, tmp_path) -> None:
    row = {"prediction": RIVERS, "target": RIVERS}
    rows = [{**row, "id": "geo-0"}, *({**row, "id": f"geo-{n}"} for n in range(2, 10))]
    outcome = score_pairs(cli, tmp_path, rows)
    assert (outcome.code, outcome.out) == (2, "")
    assert "predictions.jsonl, line 2, id" in outcome.err
    assert "8 of the ids: 'geo-2', 'geo-3', 'geo-4', 'geo-5', 'geo-6' and 3 more" in outcome.err
    assert "geo-0, geo-1" in outcome.err


def test_without_the_files_execution_is_unmeasured_and_the_way_is_told(
    cli, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("ICL_GAP_DATA", str(tmp_path))
    monkeypatch.setenv("ICL_GAP_CACHE", str(tmp_path))
    rows = [{"prediction": RIVERS, "target": RIVERS, "id": "geo-1"}]
    outcome = score_pairs(cli, tmp_path, rows)
    assert outcome.code == 0
    assert "execution match        not measured: the data of geoquery is not on" in outcome.out
    assert "icl-gap data fetch geoquery" in outcome.out
    assert "not measured: programs of cogs" in score_pairs(cli, tmp_path, rows, "cogs").out


def test_ids_are_the_users_own_where_programs_do_not_depend_on_them(cli, tmp_path) -> None:
    rows = [{"prediction": "I_TURN_LEFT " * 3, "target": "I_TURN_RIGHT", "id": "mine"}]
    outcome = score_pairs(cli, tmp_path, rows, "scan")
    assert re.search(r"execution match\s+1.0000 ", outcome.out)


def test_data_commands_work_without_files(cli) -> None:
    listed = cli("data", "list")
    assert all(name in listed.out for name in ("scan", "cfq", "geoquery"))
    info = cli("data", "info", "scan", "--split", "addprim_jump")
    assert "14,670" in info.out
    assert "7,706" in info.out
    assert "recur in train: 0 of 7,706" in info.out
    assert cli("data", "verify", "scan").code == 0
    assert "nothing to fetch" in cli("data", "fetch", "scan").out


def test_data_info_counts_rows_that_recur(cli, data_root) -> None:
    info = cli("data", "info", "geoquery", "--split", "standard", "--root", data_root)
    assert "recur in train: 105 of 280" in info.out
    partial = cli("data", "info", "cfq", "--split", "mcd2", "--root", data_root)
    assert "PARTIAL: train 80908 of 95743, test 9741 of 11968" in partial.out


BAD = [
    ({"modles": []}, "modles", "unknown key"),
    ({"shots": "ten"}, "shots", "wrong type"),
    ({"datasets": ["skan"]}, "datasets[0]", "no such benchmark"),
    ({"datasets": [{"name": "scan", "split": "mcd9"}]}, "datasets[0].split", "no such split"),
    ({"shots": [99]}, "shots", "too few exemplars"),
    ({"shots": []}, "shots", "at least 1"),
    ({"models": ["nearest", {"kind": "nearest_exemplar"}]}, "models", "duplicate cells"),
    ({"models": ["nearest", {"kind": "mock", "name": "nearest"}]}, "models[1]", "duplicate"),
    ({"models": ["./no-such-folder"]}, "models[0]", "no such folder"),
    ({"models": [{"kind": "random_init", "context_length": 20}]}, "shots", "does not fit"),
    ({"figures": ["nope"]}, "figures[0]", "no such recipe"),
    ({"models": [{"model": "x", "dtype": "int3"}]}, "models[0].dtype", "float32"),
]


@pytest.mark.parametrize(("change", "key", "said"), BAD, ids=[said for _, _, said in BAD])
def test_bad_input_is_told_on_one_screen(cli, sweep, tmp_path, change, key, said) -> None:
    out = tmp_path / "results"
    good = {**yaml.safe_load(sweep.read_text()), "figures": []}
    sweep.write_text(yaml.safe_dump({**good, "models": ["nearest"]}))
    assert cli("run", sweep, "--out", out).code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump({**good, **change}))
    outcome = cli("run", bad, "--out", out)
    assert outcome.code == 2
    assert said in outcome.err
    assert "bad.yaml" in outcome.err
    assert key in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.splitlines()) < 24
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert after == before


def test_the_line_of_a_fault_is_told(cli, sweep) -> None:
    text = sweep.read_text()
    sweep.write_text(text.replace("kind: random_init", "kind: random_init\n    dtype: int3"))
    outcome = cli("plan", sweep)
    assert "line 6" in outcome.err
    assert "models[1].dtype" in outcome.err


def test_a_sweep_of_one_side_says_why_a_figure_is_missing(cli, sweep, tmp_path) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text("{name: own, x: shots, y: gap, query_split: train}")
    fields = {
        **yaml.safe_load(sweep.read_text()),
        "query_splits": ["test"],
        "models": ["nearest"],
        "figures": ["gap_vs_shots", str(recipe)],
    }
    sweep.write_text(yaml.safe_dump(fields))
    outcome = cli("run", sweep, "--out", tmp_path / "results")
    assert outcome.code == 0
    assert "figures/gap_vs_shots.png" in outcome.out
    assert "own is not drawn: figure `own` draws `query_split: train`" in outcome.out
    assert "records:" in outcome.out


def test_an_output_folder_that_cannot_be_written_is_named(cli, sweep, tmp_path) -> None:
    (tmp_path / "file").touch()
    outcome = cli("run", sweep, "--out", tmp_path / "file")
    assert outcome.code == 1
    assert "cannot be written" in outcome.err
    assert "Traceback" not in outcome.err


def test_text_is_printed_letter_by_letter(cli, sweep, toy_card) -> None:
    template = {"instruction": "[b]:on:[/b]\ta", "source_label": "Q:", "target_label": "A:"}
    entry = {"name": toy_card, "template": template}
    fields = {**yaml.safe_load(sweep.read_text()), "datasets": [entry]}
    sweep.write_text(yaml.safe_dump(fields))
    assert "[b]:on:[/b]\\ta" in cli("prompts", sweep).out


def test_missing_files_and_folders_are_named(cli, tmp_path) -> None:
    assert cli("run", tmp_path / "none.yaml").code == 2
    outcome = cli("analyze", tmp_path)
    assert outcome.code == 1
    assert "icl-gap run" in outcome.err


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(sweep, tmp_path) -> None:
    out = tmp_path / "results"
    more = yaml.safe_load(sweep.read_text()) | {"seeds": list(range(40)), "limit": 30}
    sweep.write_text(yaml.safe_dump(more))
    command = [sys.executable, "-m", "icl_gap.cli", "run", sweep, "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("cells/*.jsonl")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to go on: icl-gap run" in err
    assert "Traceback" not in err
    assert open_results(out).unfinished


def test_a_terminal_sees_progress_and_a_pipe_does_not(sweep) -> None:
    small = yaml.safe_load(sweep.read_text()) | {"models": ["nearest"]}
    sweep.write_text(yaml.safe_dump(small))
    command = [sys.executable, "-m", "icl_gap.cli", "plan", str(sweep)]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    leader, follower = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    shown = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, env=env)
    os.close(follower)
    text = b""
    try:
        while more := os.read(leader, 100_000):  # or the process waits for a reader
            text += more
    except OSError:  # how Linux tells that the other end is closed
        pass
    assert shown.wait() == 0
    os.close(leader)
    assert b"drawing exemplars" in text
    assert b"16/16" in text
    assert b"0:00:00 elapsed" in text
