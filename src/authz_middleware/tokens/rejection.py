"""The one way a token is refused inside the package: an exception with a stable code.

It never leaves the engine (RFC 6750 §3.1: the client learns `invalid_token` and no more).
"""

from __future__ import annotations

__all__ = ["Rejected"]


class Rejected(Exception):
    """A token that must not be believed.

    `detail` is a stable code for the log, such as `expired` or `missing_claim:exp`. It is made
    of our own words and of names from the policy, never of text from the token: a log line must
    not become a place where a caller can write, or where a credential is kept.
    """

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)
