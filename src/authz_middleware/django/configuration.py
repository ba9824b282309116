"""Where Django's settings, or the environment, say what the policy is, and what it guards."""

from __future__ import annotations

import os
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.conf import settings
from django.urls import URLResolver, get_resolver

from authz_middleware.errors import PolicyError, Problem
from authz_middleware.frameworks.django import Project
from authz_middleware.frameworks.django_routes import urlconfs
from authz_middleware.runtime.authz import Authz, compiled
from authz_middleware.runtime.guarded import Guarded

__all__ = ["MISSING", "configured", "guarded", "is_missing"]

MISSING = Problem(
    "AUTHZ_CONFIG",
    "the setting is missing, and so is the environment variable of that name",
    'write AUTHZ_CONFIG = BASE_DIR / "authz.toml" in the settings',
)


def is_missing() -> bool:
    """Whether nobody says what the policy is."""
    return _setting() is None and not os.environ.get("AUTHZ_CONFIG")


def configured() -> Authz:
    """Return the policy that the project is served under; raises PolicyError."""
    if is_missing():
        raise PolicyError([MISSING])
    urlconfs()  # a mistake there is one in what is guarded
    return compiled(
        _setting(),
        loaders=None,
        observers=(),
        clock=None,
        store=None,
        renderer=None,
    )


_guarded: Final[WeakKeyDictionary[URLResolver, Guarded]] = WeakKeyDictionary()


def guarded() -> Guarded:
    """Return the project, whose routes are read once: for all its handlers, and test clients.

    A test that has Django forget its resolvers has them read again.
    """
    return _guarded.setdefault(get_resolver(), Guarded(Project()))


def _setting() -> Any:
    return getattr(settings, "AUTHZ_CONFIG", None)
