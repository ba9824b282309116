"""One of the apps behind our guard, for a real server: which one, and the policy, say variables.

When a handler runs, it writes to a file for whom, and its name: `viewer admin`. That is read off
the request itself, so it does not matter how late a busy server comes to it.
"""

from __future__ import annotations

import json
import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from authz_middleware import Authz
from tests.adversarial import routes
from tests.adversarial.apps import KINDS

_log = Path(os.environ["ADVERSARIAL_RAN"])
_callers: dict[str, str] = json.loads(os.environ["ADVERSARIAL_CALLERS"])
"""The value of an Authorization field -> whose it is; everybody else is nobody."""
_caller = ContextVar("caller", default="nobody")


class _Written(list[str]):
    """Takes the place of `RAN`, which is of this process alone."""

    def append(self, handler: str, /) -> None:
        with _log.open("ab", buffering=0) as file:
            file.write(f"{_caller.get()} {handler}\n".encode())


routes.RAN = _Written()
_kind = next(kind for kind in KINDS if kind.name == os.environ["ADVERSARIAL_APP"])
if _kind.name.startswith("django"):
    from tests.django.projects import configure

    configure()
    from django.conf import settings

    settings.ROOT_URLCONF = "tests.adversarial.apps.djangos"

_guarded = _kind.wrap(_kind.make(), Authz.from_file(os.environ["ADVERSARIAL_POLICY"]))


def _wsgi(environ: Any, start_response: Any) -> Any:
    _caller.set(_callers.get(environ.get("HTTP_AUTHORIZATION", ""), "nobody"))
    return _guarded(environ, start_response)


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    field = dict(scope.get("headers", ())).get(b"authorization", b"")
    _caller.set(_callers.get(field.decode("latin-1"), "nobody"))
    await _guarded(scope, receive, send)


app = _asgi if _kind.world == "asgi" else _wsgi
