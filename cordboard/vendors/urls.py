"""Where vendors are: which URLs we talk to (https, or http on this machine), and what may stand in them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import quote, urlsplit

from cordboard.errors import BadCall
from cordboard.vendors.evidence import clean

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_LEADS_ELSEWHERE = re.compile(r"^\.|[/\\?#%;]")
_HOST_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a tenant's API and its tokens are, and the scopes to ask for."""

    base_url: str
    token_url: str
    scopes: tuple[str, ...]


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


def path_segment(identifier: str, what: str) -> str:
    """An id as one segment of a path.

    Ids are refused, not escaped: a proxy that decodes `%2F` or `%2e%2e` once more would lead the call elsewhere.

    Args:
        identifier: what the vendor calls it.
        what: its name in the error, such as `flow id`.

    Raises:
        BadCall: not 1 to 128 letters, digits, `_`, `.` and `-` of ASCII that begin with a letter or digit.
    """
    if not _ID.fullmatch(identifier):
        raise BadCall(
            f"the {what} {identifier[:64]!a} cannot stand in a URL: use up to 128 letters, digits, '_', '.' and '-', "
            "the first a letter or digit"
        )
    return identifier


def encoded_segment(identifier: str, what: str, most: int) -> str:
    """An id of the vendor's own making as one segment of a path; what has no meaning in a path is escaped.

    Args:
        identifier: the vendor's id.
        what: its name in the error, such as `instance id`.
        most: how many characters it may have.

    Raises:
        BadCall: empty or longer, not printable, begins with a dot, or holds one of `/\\?#%;`: a proxy that decodes once
            more, or reads `;` as the end, would lead the call elsewhere.
    """
    if not 0 < len(identifier) <= most or not identifier.isprintable() or _LEADS_ELSEWHERE.search(identifier):
        raise BadCall(
            f"the {what} {identifier[:64]!a} cannot stand in a URL: it must be 1 to {most} printable characters, must "
            "not begin with a dot, and must hold none of / \\ ? # % ;"
        )
    return quote(identifier, safe=":@~,=")


def host_label(text: str, what: str) -> str:
    """A text as one label of a host name, in lower case.

    Args:
        text: such as an organisation's id.
        what: its name in the error, such as `organisation id`.

    Raises:
        BadCall: not 1 to 63 letters, digits and inner hyphens of ASCII, so that it cannot lead to another host.
    """
    if not _HOST_LABEL.fullmatch(text):
        raise BadCall(
            f"the {what} {text[:64]!a} cannot be part of a host name: use up to 63 letters, digits and hyphens, "
            "with no hyphen at either end"
        )
    return text.lower()


def known_region(region: str, regions: Iterable[str], vendor: str) -> str:
    """The region, once it stands in a vendor's closed table.

    A region is never spliced into a host before, so that no value from a file can send credentials elsewhere. A tenant
    with other hosts states its URLs.

    Args:
        region: what somebody wrote.
        regions: the table.
        vendor: whose it is, for the error.

    Raises:
        BadCall: no such region; names those spelled alike.
    """
    table = tuple(regions)
    if region in table:
        return region
    near = get_close_matches(region[:32], table, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(table)}"
    raise BadCall(f"there is no {vendor} region {clean(region, 32)!r}: {hint}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
