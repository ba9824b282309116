"""Django's system checks: what is wrong with the configuration, before anything is served.

The ids are permanent: people silence a check by its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from authz_middleware.django.configuration import MISSING, configured, is_missing
from authz_middleware.django.middleware import AuthzMiddleware
from authz_middleware.errors import PolicyError
from authz_middleware.frameworks import see
from authz_middleware.frameworks.django import Project
from authz_middleware.runtime.authz import Authz

__all__ = ["check"]

_OURS: Final = "authz_middleware.django.AuthzMiddleware"
_CACHE: Final = "django.middleware.cache"


def check(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Return every mistake in the policy and in MIDDLEWARE."""
    del app_configs  # the policy is the project's, not an app's
    return [*_policy(), *_order([*settings.MIDDLEWARE])]


def _policy() -> Iterable[CheckMessage]:
    if is_missing():
        yield Error(f"{MISSING.where}: {MISSING.what}.", hint=f"{MISSING.fix}.", id="authz.E001")
        return
    try:
        yield from _gaps(configured())
    except PolicyError as error:
        for problem in error.problems:
            message = f"{problem.where}: {problem.what}"
            yield Error(message, hint=problem.fix or None, id="authz.E002")


def _gaps(authz: Authz) -> Iterable[CheckMessage]:
    """Where the policy and the project's routes miss each other."""
    if getattr(settings, "ROOT_URLCONF", None) is None:
        return  # no routes, and nothing is served
    for gap in authz.serving.bind(see(Project()).table()).gaps:
        if authz.serving.settings.strict:
            yield Error(f"{gap}.", hint="Write a rule, or leave out strict.", id="authz.E005")
        else:
            yield checks.Warning(f"{gap}.", hint="Write a rule.", id="authz.W004")


def _order(middleware: list[str]) -> Iterable[CheckMessage]:
    ours = [place for place, path in enumerate(middleware) if _is_ours(path)]
    if not ours:
        yield Error(
            "AuthzMiddleware is not in MIDDLEWARE: Django itself refuses no request.",
            hint=f'Put "{_OURS}" there, or, if wsgi.py and asgi.py wrap the project from outside, '
            "add authz.E003 to SILENCED_SYSTEM_CHECKS.",
            id="authz.E003",
        )
        return
    if len(ours) > 1:
        yield checks.Warning(
            "AuthzMiddleware is in MIDDLEWARE more than once.",
            hint="Keep the first.",
            id="authz.W001",
        )
    for path in middleware[: ours[0]]:
        if path in (f"{_CACHE}.FetchFromCacheMiddleware", f"{_CACHE}.CacheMiddleware"):
            yield Error(
                f"{path} is before AuthzMiddleware: it answers without asking the policy.",
                hint=f'Put "{_OURS}" before it.',
                id="authz.E004",
            )
    for path in middleware[ours[0] + 1 :]:
        if "cors" in path.rpartition(".")[2].lower():
            yield checks.Warning(
                f"{path} is after AuthzMiddleware: browsers cannot read refusals, and preflights "
                "are refused.",
                hint=f'Put it before "{_OURS}".',
                id="authz.W002",
            )
        if path.startswith(f"{_CACHE}."):
            yield checks.Warning(
                f"{path} keeps pages by address: what it kept for one caller, the next one gets.",
                hint="Make views that ask who calls vary on the header Authorization, or leave it "
                "out.",
                id="authz.W003",
            )


def _is_ours(path: str) -> bool:
    try:
        found = import_string(path)
    except ImportError:
        return False  # Django says so when it loads its middleware
    return isinstance(found, type) and issubclass(found, AuthzMiddleware)
