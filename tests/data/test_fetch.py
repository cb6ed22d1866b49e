from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from http.client import HTTPMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request

import pytest

from icl_gap.data import DatasetCard, fetch_benchmark, load_split, verify_benchmark
from icl_gap.data import download as downloading
from icl_gap.data.cards import UrlFile
from icl_gap.data.download import download_file
from icl_gap.errors import DataError

if TYPE_CHECKING:
    from conftest import Web  # of this folder; for the annotations alone

CONTENT = bytes(range(256)) * 4000


def named(web: Web, content: bytes = CONTENT, **changes: Any) -> UrlFile:
    web.files["/file"] = content
    fields = {"url": f"{web.url}/file", "sha256": hashlib.sha256(content).hexdigest(), "to": "file"}
    return UrlFile.model_validate(fields | changes)


def test_a_file_comes_whole_and_its_progress_is_told(web: Web, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    download_file(named(web), tmp_path / "in" / "file", lambda *step: told.append(step))
    assert (tmp_path / "in" / "file").read_bytes() == CONTENT
    assert told[-1] == ("file", len(CONTENT), len(CONTENT))
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["file"]


def test_a_file_that_is_here_is_not_asked_for_again(web: Web, tmp_path: Path) -> None:
    file = named(web)
    for _ in range(2):
        download_file(file, tmp_path / "file")
    assert len(web.asked) == 1


def test_a_wrong_sum_leaves_nothing(web: Web, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the one that the card names") as caught:
        download_file(named(web, sha256="0" * 64), tmp_path / "file")
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value.value)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_connection_goes_on_where_it_broke_off(web: Web, tmp_path: Path) -> None:
    web.cuts = [300_000, 100_000]
    download_file(named(web), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [asked for _, asked in web.asked] == [None, "bytes=300000-", "bytes=400000-"]


def test_after_too_many_cuts_the_part_stays_and_the_next_run_resumes(
    web: Web, tmp_path: Path
) -> None:
    web.cuts = [300_000, *[0] * 4]
    with pytest.raises(DataError, match=r"cut after .*run the command again"):
        download_file(named(web), tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file.part"]
    download_file(named(web), tmp_path / "file")
    assert web.asked[-1] == ("/file", "bytes=300000-")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(web: Web, tmp_path: Path) -> None:
    web.ranges = False
    web.cuts = [300_000]
    download_file(named(web), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_taken(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    download_file(named(web), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    download_file(named(web), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_of_another_file_never_gets_the_name(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"another")
    with pytest.raises(DataError, match="not the one that the card names"):
        download_file(named(web), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_what_the_server_does_not_have_is_told(web: Web, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="404") as caught:
        download_file(named(web, url=f"{web.url}/none"), tmp_path / "file")
    assert caught.value.value == f"{web.url}/none"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_told(web: Web, tmp_path: Path) -> None:
    file = named(web, url="http://127.0.0.1:9/file")
    with pytest.raises(DataError, match="cannot download"):
        download_file(file, tmp_path / "file")


def test_a_silent_server_counts_as_cut(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(downloading, "_open", silent)
    with pytest.raises(DataError, match="timed out"):
        download_file(named(web), tmp_path / "file")


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_few_redirects_are_followed(web: Web, tmp_path: Path, steps: int) -> None:
    file = named(web, url=f"{web.url}/0")
    web.redirects = {f"/{n}": f"{web.url}/{n + 1}" for n in range(steps)}
    web.files[f"/{steps}"] = CONTENT
    download_file(file, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("back", [True, False])
def test_no_more_than_five_redirects_are_followed(web: Web, tmp_path: Path, back: bool) -> None:
    file = named(web, url=f"{web.url}/0")
    web.redirects = {f"/{n}": f"{web.url}/{(n + 1) % 3 if back else n + 1}" for n in range(9)}
    with pytest.raises(DataError, match="more than 5 redirects"):
        download_file(file, tmp_path / "file")
    assert len(web.asked) == 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://example.com/file", "https"),
        ("ftp://127.0.0.1/file", "https"),
        ("file:///etc/hosts", "not allowed"),
        ("https://me:secret@127.0.0.1/file", "user name"),
        ("https:///file", "host"),
    ],
)
def test_a_redirect_to_where_nothing_may_come_from_is_refused(
    web: Web, tmp_path: Path, address: str, reason: str
) -> None:
    file = named(web)
    web.redirects = {"/file": address}
    with pytest.raises(DataError, match=reason):
        download_file(file, tmp_path / "file")
    assert len(web.asked) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1/file", "http://example.com/file"])
def test_no_redirect_leads_from_https_to_http(address: str) -> None:
    request = Request("https://example.com/file")
    with pytest.raises(DataError, match="http"):
        downloading._Redirects().redirect_request(
            request, io.BytesIO(), 302, "", HTTPMessage(), address
        )


def test_no_key_is_sent(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HF_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "secret")
    file = named(web, url=f"{web.url}/0")
    web.redirects = {"/0": f"{web.url}/file"}
    download_file(file, tmp_path / "file")
    assert len(web.headers) == 2
    for headers in web.headers:
        assert set(headers) == {"host", "user-agent", "accept-encoding", "connection"}


def test_an_endless_answer_is_cut_off(web: Web, tmp_path: Path) -> None:
    file = named(web, bytes=len(CONTENT))
    web.endless = True
    with pytest.raises(DataError, match="more than it may") as caught:
        download_file(file, tmp_path / "file")
    assert str(len(CONTENT)) in str(caught.value.allowed)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_too_large_by_its_length_is_not_begun(web: Web, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    with pytest.raises(DataError, match="more than it may"):
        download_file(named(web, bytes=1000), tmp_path / "file", lambda *step: told.append(step))
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_a_part_and_its_rest_are_bounded_together(web: Web, tmp_path: Path) -> None:
    file = named(web, bytes=len(CONTENT) - 1)
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    with pytest.raises(DataError, match="more than it may"):
        download_file(file, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_size_that_is_declared_comes_whole(web: Web, tmp_path: Path) -> None:
    download_file(named(web, bytes=len(CONTENT)), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_file_of_no_declared_size_is_bounded_too(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icl_gap.data.cards.DOWNLOAD_LIMIT", 1000)
    with pytest.raises(DataError, match="more than it may"):
        download_file(named(web), tmp_path / "file")


def archive(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            packed.addfile(info, io.BytesIO(b"a\tb\n"))
    return out.getvalue()


def url_source(web: Web, content: bytes, **changes: Any) -> dict[str, Any]:
    file = named(web, content, to="archive", unpack=True).model_dump() | changes
    return {"kind": "url", "folder": "archive/inner", "files": [file]}


def card_of(plain: dict[str, Any], *sources: dict[str, Any]) -> DatasetCard:
    plain["splits"]["plain"] |= {"train": 1}
    return DatasetCard.model_validate(plain | {"sources": [*plain["sources"], *sources]})


def test_a_fetched_archive_is_a_benchmark(
    web: Web, cache_folder: Path, plain: dict[str, Any]
) -> None:
    card = card_of(plain, url_source(web, archive("inner/train.tsv", "inner/test.tsv")))
    fetched = fetch_benchmark(card)
    assert (fetched.kind, fetched.already_here, fetched.failed) == ("url", False, ())
    assert {path.name for path in fetched.files} == {"train.tsv", "test.tsv"}
    assert all(path.is_relative_to(cache_folder) and path.is_file() for path in fetched.files)
    assert load_split(card, "plain").train[0].target == "b"
    assert verify_benchmark(card).ok
    assert fetch_benchmark(card).already_here
    assert len(web.asked) == 1


@pytest.mark.usefixtures("cache_folder")
def test_damage_to_what_was_fetched_is_found(web: Web, plain: dict[str, Any]) -> None:
    card = card_of(plain, url_source(web, archive("inner/train.tsv", "inner/test.tsv")))
    train = next(path for path in fetch_benchmark(card).files if path.name == "train.tsv")
    train.write_text("x\ty\n")
    checked = verify_benchmark(card)
    assert [check.path for check in checked.files if not check.ok] == [train]
    assert not checked.ok


@pytest.mark.usefixtures("cache_folder")
def test_a_hostile_archive_is_no_benchmark(
    web: Web, cache_folder: Path, plain: dict[str, Any]
) -> None:
    card = card_of(plain, url_source(web, archive("inner/train.tsv", "../../evil")))
    with pytest.raises(DataError, match="must not"):
        fetch_benchmark(card)
    assert not list(cache_folder.rglob("evil"))
    with pytest.raises(DataError, match="not on this machine"):
        load_split(card, "plain")


@pytest.mark.usefixtures("cache_folder")
def test_the_next_source_is_tried(web: Web, plain: dict[str, Any]) -> None:
    content = archive("inner/train.tsv", "inner/test.tsv")
    broken = url_source(web, content, url=f"{web.url}/none")
    card = card_of(plain, broken, url_source(web, content))
    fetched = fetch_benchmark(card)
    assert fetched.kind == "url"
    assert "404" in fetched.failed[0]
    with pytest.raises(DataError, match="404"):
        fetch_benchmark(card_of(plain, broken))


@pytest.mark.usefixtures("cache_folder")
def test_a_changed_card_does_not_use_what_another_one_fetched(
    web: Web, plain: dict[str, Any]
) -> None:
    first = card_of(plain, url_source(web, archive("inner/train.tsv", "inner/test.tsv")))
    fetch_benchmark(first)
    second = card_of(plain, url_source(web, archive("inner/test.tsv")))
    with pytest.raises(DataError, match="not on this machine"):
        load_split(second, "plain")


def test_a_card_without_a_source_on_the_web_says_so(plain: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="no source that could be fetched"):
        fetch_benchmark(DatasetCard.model_validate(plain))


@pytest.mark.usefixtures("cache_folder")
def test_a_damaged_receipt_is_told(web: Web, plain: dict[str, Any]) -> None:
    card = card_of(plain, url_source(web, archive("inner/train.tsv", "inner/test.tsv")))
    folder = fetch_benchmark(card).folder
    assert folder is not None
    (folder / "fetched.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match="damaged"):
        fetch_benchmark(card)


def fetched_pairs(web: Web, plain: dict[str, Any]) -> tuple[DatasetCard, Path]:
    """A card of two plain files that have been fetched, and the first of them."""
    web.files |= {"/train": b"a\tb\n", "/test": b"c\td\n"}
    files = [
        {
            "url": f"{web.url}/{side}",
            "sha256": hashlib.sha256(web.files[f"/{side}"]).hexdigest(),
            "to": f"{side}.tsv",
        }
        for side in ("train", "test")
    ]
    card = card_of(plain, {"kind": "url", "files": files})
    return card, fetch_benchmark(card).files[0]


@pytest.mark.usefixtures("cache_folder")
def test_a_fetched_file_without_its_sum_is_no_benchmark_and_is_fetched_again(
    web: Web, plain: dict[str, Any]
) -> None:
    card, train = fetched_pairs(web, plain)
    train.write_text("x\ty\n")
    with pytest.raises(DataError, match="not the file that was fetched") as caught:
        load_split(card, "plain")
    assert caught.value.place.file == train
    assert caught.value.value == hashlib.sha256(b"x\ty\n").hexdigest()
    assert "icl-gap data fetch greetings" in str(caught.value.allowed)
    assert not fetch_benchmark(card).already_here
    assert load_split(card, "plain").train[0].target == "b"
    assert [path for path, _ in web.asked] == ["/train", "/test", "/train"]


@pytest.mark.usefixtures("cache_folder")
def test_an_unpacked_file_without_its_sum_is_no_benchmark(web: Web, plain: dict[str, Any]) -> None:
    card = card_of(plain, url_source(web, archive("inner/train.tsv", "inner/test.tsv")))
    for train in fetch_benchmark(card).files:
        content = train.read_bytes()
        train.write_text("x\ty\n")
        with pytest.raises(DataError, match="not the file that was fetched"):
            load_split(card, "plain")
        train.write_bytes(content)
    assert load_split(card, "plain").train[0].target == "b"


@pytest.mark.usefixtures("cache_folder")
def test_a_receipt_does_not_outrank_the_card(web: Web, plain: dict[str, Any]) -> None:
    card, train = fetched_pairs(web, plain)
    train.write_text("x\ty\n")
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in fetch_paths(train)}
    (train.parent / "fetched.json").write_text(json.dumps(sums))
    with pytest.raises(DataError, match="not the file that was fetched"):
        load_split(card, "plain")
    assert not verify_benchmark(card).ok


def fetch_paths(train: Path) -> list[Path]:
    return sorted(train.parent.glob("*.tsv"))


@pytest.mark.usefixtures("cache_folder")
def test_a_file_beside_those_that_were_fetched_is_not_read(web: Web, plain: dict[str, Any]) -> None:
    card, train = fetched_pairs(web, plain)
    train.rename(train.with_name("train.tsv.gz"))
    with pytest.raises(DataError, match="not the file that was fetched"):
        load_split(card, "plain")


@pytest.mark.usefixtures("cache_folder")
def test_a_parsed_copy_made_from_a_good_file_is_not_used_for_a_damaged_one(
    web: Web, plain: dict[str, Any]
) -> None:
    card, train = fetched_pairs(web, plain)
    load_split(card, "plain")
    train.write_text("a\tc\n")
    with pytest.raises(DataError, match="not the file that was fetched"):
        load_split(card, "plain")


@pytest.mark.usefixtures("cache_folder")
def test_a_fetched_packed_file_is_checked_as_it_was_sent(web: Web, plain: dict[str, Any]) -> None:
    packed = gzip.compress(b"a\tb\n", mtime=0)
    web.files |= {"/train": packed, "/test": packed}
    files = [
        {
            "url": f"{web.url}/{side}",
            "sha256": hashlib.sha256(packed).hexdigest(),
            "to": f"{side}.tsv.gz",
        }
        for side in ("train", "test")
    ]
    card = card_of(plain, {"kind": "url", "files": files})
    fetch_benchmark(card)
    assert load_split(card, "plain").train[0].target == "b"
    assert verify_benchmark(card).ok


@pytest.mark.usefixtures("cache_folder")
def test_a_folder_that_cannot_be_written_is_told(
    web: Web, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        fetched_pairs(web, plain)
