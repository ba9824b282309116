"""The Authorization field in, WWW-Authenticate out (RFC 6750, RFC 9110 §11, RFC 9470 §3)."""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["MAX_LENGTH", "Presented", "challenge", "parse", "usual"]

MAX_LENGTH = 16 * 1024
"""Bytes of an Authorization value that are looked at; servers commonly allow 8 to 64 KiB."""

# RFC 6750 §2.1: credentials = "Bearer" 1*SP b64token; the scheme is case-insensitive.
_B64TOKEN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
# RFC 9110 §11.4: credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
# One space, not ` +`: the class takes the others, and two ways to share them would make a refusal
# quadratic.
_OTHER_SCHEME = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: [\x20-\x7e\t]*)?")
# WSGI servers join repeated fields with a comma. In a list of auth-params a comma is followed by
# `name=`; a comma followed by `scheme credentials` is a second field line (RFC 9110 §5.3).
_SECOND_FIELD = re.compile(rb",[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+ +[^=\s]")


class Presented(Enum):
    """What an Authorization field holds when it holds no bearer token."""

    ABSENT = "absent"  # no field, or a scheme we do not speak
    MALFORMED = "malformed"  # repeated, or not by the grammar


def usual(values: tuple[bytes, ...]) -> bytes | None:
    """Return what `parse` would take for the token if the field is as nearly everybody writes it.

    It is not looked at: good for finding what was parsed before, and for nothing else.
    """
    if len(values) == 1:
        (value,) = values
        if value[:7] == b"Bearer " and len(value) <= MAX_LENGTH:
            return value[7:]
    return None


def parse(values: tuple[bytes, ...]) -> str | Presented:
    """Return the bearer token of all Authorization field values of one request, or why not.

    The token is ASCII text of the b64token grammar. Nothing else is looked at: not the query, not
    the body (RFC 9700 §4.3.2), not Proxy-Authorization.
    """
    if not values:
        return Presented.ABSENT
    # The common field by its bytes alone, in less time than the grammar below takes for it.
    text = usual(values) or b""
    if (body := text.rstrip(b"=")) and not body.translate(None, _B64TOKEN):
        return text.decode("ascii")
    first, *repeated = values
    if repeated or len(first) > MAX_LENGTH:
        return Presented.MALFORMED
    value = first.strip(b" \t")  # RFC 9110 §5.5: optional white space is not part of it
    if bearer := _BEARER.fullmatch(value):
        return bearer.group(1).decode("ascii")
    other = _OTHER_SCHEME.fullmatch(value)
    if other is None or other.group(1).lower() == b"bearer" or _SECOND_FIELD.search(value):
        return Presented.MALFORMED
    return Presented.ABSENT


def challenge(
    realm: str,
    *,
    error: str | None = None,
    scopes: tuple[str, ...] = (),
    acr_values: tuple[str, ...] = (),
    max_age: int | None = None,
    resource_metadata: str | None = None,
) -> str:
    """Return a Bearer challenge. The texts are checked when the policy is loaded (RFC 6750 §3).

    A realm is always sent, so the challenge is never a bare scheme.
    """
    parameters = [("realm", realm)]
    if error:
        parameters.append(("error", error))
    if scopes:
        parameters.append(("scope", " ".join(scopes)))
    if acr_values:
        parameters.append(("acr_values", " ".join(acr_values)))
    if max_age is not None:
        parameters.append(("max_age", str(max_age)))
    if resource_metadata:
        parameters.append(("resource_metadata", resource_metadata))  # RFC 9728 §5.1
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters)
