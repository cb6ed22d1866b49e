"""The download of one file, with a bound, a checksum and resumption.

Only `https` is used, except for servers on this machine. No key, cookie or password is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from icl_gap.data.addresses import check_address
from icl_gap.data.cards import UrlFile
from icl_gap.errors import DataError
from icl_gap.files import append_regular

DownloadProgress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes received and the total bytes, None if unknown."""

MOST_REDIRECTS = 5
_CHUNK = 2**18
_TRIES = 4
_TIMEOUT = 30.0
"""The seconds without a byte after which a connection counts as lost."""


def download_file(file: UrlFile, target: Path, progress: DownloadProgress | None = None) -> None:
    """Download a file; it gets its name only once its sha256 has been checked.

    The bytes received so far are kept as `<name>.part`, and the next attempt requests the rest. A
    lost connection is retried a few times, and as long as bytes arrive.

    Args:
        file: The file on the card.
        target: The target; an existing file with the right sha256 is kept.
        progress: Called as bytes arrive.

    Raises:
        DataError: The server cannot be reached, does not have the file, or redirects too often or
            to a forbidden address; the connection was lost (`.part` stays); the file is larger than
            the card allows, or has another sha256 (nothing stays).
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


class _Redirects(HTTPRedirectHandler):
    """Follows a few redirects, to where a card could point too, and never from https to http."""

    def redirect_request(  # noqa: PLR0917 (urllib passes them so)
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        try:
            _check_redirect(req, newurl)
        except ValueError as error:
            fp.close()
            raise DataError(
                f"cannot download the file: a redirect of the server is not followed: {error}",
                value=newurl,
                allowed=f"at most {MOST_REDIRECTS} redirects, to https addresses",
            ) from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_redirect(request: Request, address: str) -> None:
    # urllib counts redirects by address.
    if sum(getattr(request, "redirect_dict", {}).values()) >= MOST_REDIRECTS:
        raise ValueError(f"more than {MOST_REDIRECTS} redirects")
    check_address(address)
    if request.type == "https" and not address.startswith("https:"):
        raise ValueError("it leads from https to http")


def _complete(file: UrlFile, part: Path, progress: DownloadProgress | None) -> None:
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


def _append(file: UrlFile, part: Path, progress: DownloadProgress | None) -> None:
    """Download the rest, or everything if the server does not support ranges."""
    have = _size(part)
    headers = {"User-Agent": "icl-gap", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = Request(file.url, headers=headers)  # noqa: S310 (the card lets only https through)
    try:
        response = _open(request)
    except HTTPError as error:
        if error.code == 416:  # the range is past the end: a complete file, or another one
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


def _open(request: Request) -> HTTPResponse:
    response: HTTPResponse = build_opener(_Redirects()).open(request, timeout=_TIMEOUT)
    return response


def _continues(response: HTTPResponse, have: int) -> bool:
    described = response.headers.get("Content-Range", "")
    return response.status == 206 and described.startswith(f"bytes {have}-")


def _receive(
    response: HTTPResponse, file: UrlFile, part: Path, have: int, progress: DownloadProgress | None
) -> None:
    length = response.headers.get("Content-Length")
    total = None if length is None else have + int(length)
    if total is not None and total > file.most_bytes:
        raise _too_large(file, part, total)
    with append_regular(part) as out:
        while chunk := response.read(_CHUNK):
            have += len(chunk)
            if have > file.most_bytes:
                raise _too_large(file, part, have)
            out.write(chunk)
            if progress is not None:
                progress(file.to, have, total)
    if total is not None and have < total:
        raise ConnectionError(f"the connection was cut after {have} of {total} bytes")


def _too_large(file: UrlFile, part: Path, size: int) -> DataError:
    part.unlink(missing_ok=True)
    return DataError(
        f"the server sends more than it may for {file.url}; what had come has been removed",
        value=f"{size} bytes or more",
        allowed=f"{file.most_bytes} bytes (`bytes` of the file in the card)",
    )


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
