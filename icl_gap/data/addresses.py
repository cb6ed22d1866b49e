"""A check of the web addresses that files may come from."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def check_address(address: str) -> str:
    """Check an address from which a file may be downloaded, and return it.

    Raises:
        ValueError: It is not `https` (http is allowed for loopback addresses), holds a user name or
            a password, or has no host.
    """
    if not (address.isascii() and address.isprintable()) or " " in address:
        raise ValueError("must be a web address in plain ASCII, without spaces")
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or a password")
    if not parts.hostname or parts.port == 0:
        raise ValueError("must name a host")
    local = parts.scheme == "http" and _is_loopback(parts.hostname)
    if parts.scheme != "https" and not local:
        raise ValueError(
            "must begin with https:// (http:// is for this machine alone, as 127.0.0.1)"
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
