"""The keys of one issuer, and which of them may verify a given token.

RFC 7515 §4.1.4 (`kid` is a hint, compared exactly), RFC 7517 §4.5, RFC 8725 §3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from authz_middleware.tokens.rejection import Rejected
from authz_middleware.tokens.signature import Key

__all__ = ["MAX_CANDIDATES", "KeyBroken", "KeySet", "KeysUnusable", "VerificationKey"]

# Without a `kid` every compatible key is tried; issuers publish two or three. Each try costs a
# signature check, which nobody should be able to have by the hundred for one request.
MAX_CANDIDATES: Final = 8


class KeysUnusable(Exception):
    """Key material from which nothing can be verified. `reason` holds no key material."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class KeyBroken(KeysUnusable):
    """One key of a set was meant for verifying, but its values are wrong."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One key and the algorithms it may serve: what its type allows, or what its `alg` pins."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key = field(repr=False)
    issuer: str | None = None  # the issuer it signs for, where a set of many says so


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of one source. `notes` says what was left out and why, for the log."""

    keys: tuple[VerificationKey, ...]
    # The names of keys with wrong values: a token that names one may have meant that one.
    broken_kids: frozenset[str] = frozenset()
    notes: tuple[str, ...] = field(default=(), compare=False)
    # Every algorithm that some key of the set may serve, and every name.
    algorithms: frozenset[str] = field(init=False, repr=False, compare=False)
    kids: frozenset[str | None] = field(init=False, repr=False, compare=False)
    # By algorithm, name, and whether the set has it. One name stands for all that it lacks: a token
    # may have any.
    _found: dict[tuple[str, str | None, bool], tuple[VerificationKey, ...]] = field(
        init=False,
        repr=False,
        compare=False,
        default_factory=dict["tuple[str, str | None, bool]", "tuple[VerificationKey, ...]"],
    )

    def __post_init__(self) -> None:
        algorithms = frozenset[str]().union(*(key.algorithms for key in self.keys))
        object.__setattr__(self, "algorithms", algorithms)
        object.__setattr__(self, "kids", frozenset(key.kid for key in self.keys))

    def has_kid(self, kid: str) -> bool:
        """Whether a key of the set is called `kid`."""
        return kid in self.kids

    @property
    def uses_kids(self) -> bool:
        """Whether any key of the set has a name."""
        return any(kid is not None for kid in self.kids)

    def candidates(self, algorithm: str, kid: str | None) -> tuple[VerificationKey, ...]:
        """The keys that may verify a token with this header, or raise Rejected.

        A key that is called `kid`; else, because a PEM file and a secret have no name to give,
        the keys without one. A token without a `kid` may be verified by any compatible key.
        """
        known = kid is None or kid in self.kids
        asked = algorithm, kid if known else None, known
        found = self._found.get(asked)
        if found is None:
            found = self._candidates(algorithm, kid)
            if algorithm in self.algorithms:
                self._found[asked] = found
        return found

    def _candidates(self, algorithm: str, kid: str | None) -> tuple[VerificationKey, ...]:
        serving = [key for key in self.keys if algorithm in key.algorithms]
        if kid is not None:
            named = tuple(key for key in serving if key.kid == kid)
            if len(named) > 1 or (named and kid in self.broken_kids):
                raise Rejected("ambiguous_key")
            if named or self.has_kid(kid):
                return named
            serving = [key for key in serving if key.kid is None]
        if len(serving) > MAX_CANDIDATES:
            raise Rejected("too_many_keys")
        return tuple(serving)
