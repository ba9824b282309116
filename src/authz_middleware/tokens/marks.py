"""The mark by which a provider's access tokens differ from all else that it signs.

RFC 8725 §3.12: rules that exclude each other for different kinds of tokens. RFC 9068 has `typ` for
it; most providers do not send that, but each has claims that its ID tokens never carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from authz_middleware.tokens.claim_paths import ClaimPath, follow

__all__ = ["NO_MARK", "Mark", "borne"]

Claims: TypeAlias = tuple[ClaimPath, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What must hold of a token's claims. It is no default: no key of the policy lifts it."""

    # The claim is text, and one of these.
    values: tuple[tuple[ClaimPath, frozenset[str]], ...] = ()
    # All claims of one of these groups are there: text, or a list of it, and not empty.
    one_of: tuple[Claims, ...] = ()
    # Not there, not even as null.
    absent: tuple[str, ...] = ()
    # These name the client. An ID token is meant for its client, an access token is not.
    clients: tuple[str, ...] = ()


NO_MARK: Final = Mark()


def borne(mark: Mark, payload: Mapping[str, Any]) -> bool:
    """Whether a token with these claims bears the mark."""
    if mark is NO_MARK:
        return True
    for path, values in mark.values:
        value = follow(payload, path)
        if not isinstance(value, str) or value not in values:
            return False
    if any(name in payload for name in mark.absent):
        return False
    audience: object = payload.get("aud")
    audiences = cast("list[object]", audience) if isinstance(audience, list) else [audience]
    if any(name in payload and payload[name] in audiences for name in mark.clients):
        return False
    return not mark.one_of or any(
        all(_says_something(follow(payload, path)) for path in group) for group in mark.one_of
    )


def _says_something(value: object) -> bool:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(item, str) and item for item in items)
