"""Which URLs we talk to: https, or http on this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from cordboard.errors import BadCall


def vendor_url(url: str, what: str) -> str:
    """The URL without a trailing slash, once it is fit to be given credentials.

    Args:
        url: whole URL, such as `https://na1.api.nice-incontact.com`.
        what: its name in the error, such as `base URL`.

    Raises:
        BadCall: not https (or http on a loopback address), without a host, with a bad port, or with credentials, a
            query or a fragment. The URL itself is not repeated, as it may hold the credentials.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # read for its check
    except ValueError:
        raise BadCall(f"the {what} is not a URL") from None
    if url != url.strip() or not url.isascii() or not url.isprintable() or "\\" in url or not parts.hostname:
        raise BadCall(f"the {what} is not a URL with a host")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise BadCall(f"the {what} must not hold credentials, a query or a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise BadCall(f"the {what} must start with https:// (http:// is for this machine only)")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
