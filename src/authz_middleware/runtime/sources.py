"""Where the keys of each issuer come from, or who is asked about its tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from authz_middleware.effects import TokenCache
from authz_middleware.runtime.introspection import Introspector
from authz_middleware.runtime.keys import FixedKeys, RemoteKeys
from authz_middleware.runtime.settings import Settings
from authz_middleware.tokens.issuers import Discovery, Introspection, JwksUri, StaticKeys

__all__ = ["Known", "Sources", "sources"]

Known: TypeAlias = Sequence[Mapping[str, RemoteKeys]]
"""Keys that other policies fetch, by issuer; what comes first is preferred."""


class Sources(NamedTuple):
    """By issuer; `remote` are those of the `keys` that are fetched."""

    keys: Mapping[str, FixedKeys | RemoteKeys]
    remote: Mapping[str, RemoteKeys]
    introspectors: Mapping[str, Introspector]


def sources(
    settings: Settings,
    cache: TokenCache,
    clock: Callable[[], float],
    known: Known,
    *,
    on_trial: bool = False,
) -> Sources:
    """Return the sources of a policy. What is `known` already goes on, if it is the same.

    A policy `on_trial` writes no last-good file: that is for the policy in force.
    """
    keys: dict[str, FixedKeys | RemoteKeys] = {}
    remote: dict[str, RemoteKeys] = {}
    introspectors: dict[str, Introspector] = {}
    for name, issuer in settings.issuers.items():
        match issuer.source:
            case StaticKeys(fixed):
                keys[name] = FixedKeys(fixed)
            case Introspection() as config:
                introspectors[name] = Introspector(
                    issuer, config, cache, settings.policy.roles.expand, clock
                )
            case config:
                others = [each[name] for each in known if name in each]
                own = _without_file(config) if on_trial else config
                keys[name] = remote[name] = (
                    _same(config, settings, others)
                    or _continued(own, settings, others)
                    or RemoteKeys(own, clock, directory=settings.directory)
                )
    return Sources(keys, remote, introspectors)


def _same(
    config: JwksUri | Discovery, settings: Settings, others: Sequence[RemoteKeys]
) -> RemoteKeys | None:
    return next((each for each in others if each.serves(config, settings.directory)), None)


def _continued(
    config: JwksUri | Discovery, settings: Settings, others: Sequence[RemoteKeys]
) -> RemoteKeys | None:
    return next(filter(None, (each.continued(config, settings.directory) for each in others)), None)


def _without_file(config: JwksUri | Discovery) -> JwksUri | Discovery:
    return replace(config, cache=replace(config.cache, file=None))
