"""AUTHZ_CONFIG: where Django's settings, or the environment, say what the policy is."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings

from authz_middleware.errors import PolicyError, Problem
from authz_middleware.runtime.authz import Authz, compiled

__all__ = ["MISSING", "configured", "is_missing"]

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
    return compiled(
        _setting(),
        loaders=None,
        observers=(),
        clock=None,
        store=None,
        renderer=None,
    )


def _setting() -> Any:
    return getattr(settings, "AUTHZ_CONFIG", None)
