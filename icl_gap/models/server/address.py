"""Checks of a server's address, before anything is sent there."""

from __future__ import annotations

import ipaddress
import re
from importlib.util import find_spec
from urllib.parse import urlsplit

from icl_gap.errors import ModelError
from icl_gap.models.spec import OpenAISpec


def check_server(spec: OpenAISpec) -> None:
    """Check before anything runs that requests can be sent to a server; no secret is shown.

    Raises:
        ModelError: A library is missing, the address has a user, query or fragment or ends in an
            endpoint, `api_key_env` is not a name, or the key would go over a network in plain text.
    """
    missing = [name for name in ("openai", "tenacity") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"{' and '.join(missing)} not installed", allowed="pip install 'icl-gap[api]'"
        ).at(key="kind")
    url = urlsplit(spec.base_url)
    if url.username or url.password or url.query or url.fragment:
        raise ModelError(
            "base_url holds more than an address",
            allowed="https://HOST/PATH; the key in the environment variable of `api_key_env`",
        ).at(key="base_url")
    if end := _endpoint(url.path):
        base = spec.base_url.rstrip("/").removesuffix(end)
        raise ModelError(
            f"base_url ends in {end}, which is added to it",
            value=spec.base_url,
            allowed=f"`base_url: {base}`",
        ).at(key="base_url")
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", spec.api_key_env):
        raise ModelError(
            "api_key_env is not the name of an environment variable",
            allowed="upper-case letters, digits and _: the name of a variable, not the key itself",
        ).at(key="api_key_env")
    if url.scheme.lower() != "https" and not is_local(spec.base_url) and not spec.allow_plain_http:
        raise ModelError(
            f"the key in {spec.api_key_env} would go over the network in plain text",
            value=spec.base_url,
            allowed="https://…, a server on this machine, or `allow_plain_http: true` for a network"
            " that you trust with the key",
        ).at(key="base_url")


def _endpoint(path: str) -> str | None:
    """Return the end of an address's path that names an endpoint; None if there is none."""
    found = re.search(r"(/chat)?/completions/?$", path)
    return None if found is None else found[0].rstrip("/")


def is_local(base_url: str) -> bool:
    """Return whether an address is one of this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
