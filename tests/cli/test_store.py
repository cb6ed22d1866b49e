"""`icl-gap store`: damage is told, mended, and healed by the next run."""

from __future__ import annotations

from dataclasses import replace

from stored import INFO, SOME

from icl_gap.results import CellFile, StoreWriter, open_store


def test_a_damaged_store_is_told_mended_and_healed(cli, sweep, tmp_path) -> None:
    out = tmp_path / "results"
    assert cli("run", sweep, "--out", out).code == 0
    assert cli("store", "verify", out) == (0, "every file is as it was written\n", "")
    path = min((out / "cells").iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[:-30] + b"!" + whole[-29:])
    told = cli("store", "verify", out)
    assert told.code == 1
    assert f"{path.name}: record 5 is not as it was written; 4 good records" in told.out
    assert "icl-gap store repair" in told.out
    assert path.read_bytes() != whole
    mended = cli("store", "repair", out)
    assert mended.code == 0
    assert "run the sweep again" in mended.out
    assert len(list((out / "damaged").iterdir())) == 1
    assert cli("run", sweep, "--out", out).code == 0
    assert cli("store", "repair", out).out == "every file is as it was written\n"
    assert [line.split(b'"seconds"')[0] for line in path.read_bytes().splitlines()[1:]] == [
        line.split(b'"seconds"')[0] for line in whole.splitlines()[1:]
    ]


def test_a_run_mends_by_itself_and_says_so(cli, sweep, tmp_path) -> None:
    out = tmp_path / "results"
    cli("run", sweep, "--out", out)
    path = min((out / "cells").iterdir())
    path.write_bytes(path.read_bytes()[:-3])
    again = cli("run", sweep, "--out", out)
    assert again.code == 0
    assert (
        f"warning: {path}: record 5 is torn; 4 good records; the file is set aside in" in again.err
    )
    assert cli("store", "verify", out).code == 0


def test_a_name_with_control_characters_is_escaped(cli, tmp_path) -> None:
    out = tmp_path / "results\x1b[2J"
    (out / "cells").mkdir(parents=True)
    (out / "cells" / "x.jsonl").touch()
    told = cli("store", "verify", out)
    assert told.code == 1
    assert "\x1b" not in told.out + told.err
    assert "x.jsonl: empty" in told.out


def test_a_missing_cell_is_named(cli, sweep, tmp_path) -> None:
    out = tmp_path / "results"
    cli("run", sweep, "--shard", "1/2", "--out", out)
    told = cli("store", "verify", out)
    assert told.code == 0
    start, _, names = told.out.splitlines()[0].partition(": ")
    assert start == "16 of 32 cells are not there yet"
    assert len(names.split(", ")) == 16
    path = min((out / "cells").iterdir())
    path.unlink()
    told = cli("store", "verify", out)
    assert told.code == 1
    assert f"{path}: missing, and was there when the last run ended; run the sweep" in told.out
    assert cli("run", sweep, "--out", out).code == 0
    assert cli("store", "verify", out) == (0, "every file is as it was written\n", "")


def test_what_no_analysis_can_compare_is_told(cli, tmp_path) -> None:
    out = tmp_path / "results"
    other = replace(INFO, key="cd" * 32, condition="ood")
    with (
        open_store(out, {"name": "x"}, [INFO, other]),
        StoreWriter(out, [CellFile(INFO, "qrs"), CellFile(other, "qrs")]) as writer,
    ):
        for record in SOME:
            scored = replace(record, status="scored", scores={"raw": True})
            writer.append(INFO.key, scored)
            writer.append(other.key, replace(scored, shots=2))
    told = cli("store", "verify", out)
    assert told.code == 1
    assert "query `q` has 3 effective shots ID and 2 OOD" in told.err


def test_parts_are_run_apart_and_merged(cli, sweep, tmp_path) -> None:
    planned = cli("plan", sweep, "--shards", 2)
    assert planned.code == 0
    assert "2/2" in planned.out
    parts = [tmp_path / str(n) for n in (1, 2)]
    for n, part in enumerate(parts, start=1):
        ran = cli("run", sweep, "--shard", f"{n}/2", "--out", part)
        assert ran.code == 0
        assert "16 cells of the sweep are not finished" in ran.out
    merged = cli("store", "merge", *parts, "--out", tmp_path / "all")
    assert merged.out == f"32 cells in {tmp_path / 'all'}, 0 not finished\n"
    assert cli("analyze", tmp_path / "all").code == 0


def test_a_part_that_is_not_there_is_refused(cli, sweep) -> None:
    for part in ("0/2", "3/2", "1", "1/0", "a/b", "-1/2"):
        refused = cli("run", sweep, f"--shard={part}")
        assert refused.code == 2
        assert "1/N to N/N" in refused.err
