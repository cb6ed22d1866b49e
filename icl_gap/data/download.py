"""Downloading one file: checked, and resumed where it broke off."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from icl_gap.data.cards import UrlFile
from icl_gap.errors import DataError

Progress = Callable[[str, int, int | None], None]
"""Told the file's name, the bytes that are here and the bytes in all, where that is known."""

_CHUNK = 2**18
_TRIES = 4
_TIMEOUT = 30.0
"""Seconds without a byte, after which a connection counts as cut."""


def download(file: UrlFile, target: Path, progress: Progress | None = None) -> None:
    """Download a file; it gets its name only once its sha256 has been checked.

    What has come so far is kept as `<name>.part`, and the next try asks the server for the rest. A
    cut connection is tried again a few times as long as bytes come.

    Args:
        file: What to download.
        target: Where to; a file that is already there is taken if its sha256 is right.
        progress: Called as bytes come.

    Raises:
        DataError: The server cannot be reached or does not have the file; the connection was cut
            (`.part` stays); or the sha256 is wrong (nothing stays).
    """
    if target.is_file() and _sha256(target) == file.sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    _complete(file, part, progress)
    found = _sha256(part)
    if found != file.sha256:
        part.unlink()
        raise DataError(
            f"the file downloaded from {file.url} is not the one that the card names; "
            "it has been removed",
            value=f"sha256 {found}",
            allowed=f"sha256 {file.sha256}",
        )
    part.replace(target)


def _complete(file: UrlFile, part: Path, progress: Progress | None) -> None:
    tries = _TRIES
    while True:
        before = _size(part)
        try:
            _append(file, part, progress)
        except HTTPError as error:
            error.close()
            raise _failed(file, part, f"the server answers {error.code} {error.reason}") from error
        except (OSError, HTTPException, ValueError) as error:
            tries = _TRIES if _size(part) > before else tries - 1
            if not tries:
                raise _failed(file, part, str(error) or type(error).__name__) from error
        else:
            return


def _append(file: UrlFile, part: Path, progress: Progress | None) -> None:
    """Get what is missing, or everything where the server cannot send a part."""
    have = _size(part)
    headers = {"User-Agent": "icl-gap", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    # The card's pattern lets only http and https through.
    request = Request(file.url, headers=headers)  # noqa: S310
    try:
        response = urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    except HTTPError as error:
        if error.code == 416:  # nothing lies beyond what is here: whole, or of another file
            error.close()
            if _sha256(part) != file.sha256:
                part.unlink()
                raise ConnectionError("what had been downloaded did not fit the file") from error
            return
        raise
    with response:
        if have and not _continues(response, have):
            part.unlink()
            have = 0
        _receive(response, file, part, have, progress)


def _continues(response: HTTPResponse, have: int) -> bool:
    described = response.headers.get("Content-Range", "")
    return response.status == 206 and described.startswith(f"bytes {have}-")


def _receive(
    response: HTTPResponse, file: UrlFile, part: Path, have: int, progress: Progress | None
) -> None:
    length = response.headers.get("Content-Length")
    total = None if length is None else have + int(length)
    with part.open("ab") as out:
        while chunk := response.read(_CHUNK):
            out.write(chunk)
            have += len(chunk)
            if progress is not None:
                progress(file.to, have, total)
    if total is not None and have < total:
        raise ConnectionError(f"the connection was cut after {have} of {total} bytes")


def _failed(file: UrlFile, part: Path, reason: str) -> DataError:
    resumes = " (run the command again to go on where it stopped)" if _size(part) else ""
    return DataError(
        f"cannot download the file: {reason}{resumes}",
        value=file.url,
        allowed="a server that can be reached and has the file; or a data folder of your own",
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
