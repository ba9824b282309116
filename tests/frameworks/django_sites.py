"""Django projects of given URLs, asked with our guard inside of them or outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test.utils import override_settings

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from tests.adapters.exchange import Sent
from tests.django.projects import OURS, Headers, named, send_asgi, send_wsgi

FORMS = tuple(f"{place} {world}" for place in ("inside", "outside") for world in ("wsgi", "asgi"))


def urls(patterns: list[Any]) -> Any:
    """What Django takes for a module of URLs."""
    return type("Urls", (), {"urlpatterns": patterns})


def serving(patterns: list[Any], **options: Any) -> override_settings:
    """Settings in which these are the URLs."""
    return override_settings(ROOT_URLCONF=urls(patterns), **options)


@dataclass
class Site:
    """A project under a policy, in one of the forms; `around` makes what a guard outside wraps.

    Its handler is made with the first request, under its own settings, and kept.
    """

    patterns: list[Any]
    authz: Authz
    form: str = "inside wsgi"
    middleware: Iterable[Any] = ()
    options: dict[str, Any] = field(default_factory=dict)
    around: Any = None
    app: Any = None

    def __post_init__(self) -> None:
        self.inside, self.world = self.form.startswith("inside"), self.form.split()[1]
        self.settings = {
            "ROOT_URLCONF": urls(self.patterns),
            "MIDDLEWARE": [*([OURS] if self.inside else []), *map(named, self.middleware)],
            "AUTHZ_CONFIG": self.authz if self.inside else None,
            **self.options,
        }

    def build(self) -> Any:
        handler: Any = WSGIHandler() if self.world == "wsgi" else ASGIHandler()
        self.handler = handler
        if self.inside:
            return handler
        wrapper = WSGIAuthzMiddleware if self.world == "wsgi" else ASGIAuthzMiddleware
        return wrapper(self.around(handler) if self.around else handler, self.authz)

    def ask(self, method: str, path: str, headers: Headers = (), **extra: Any) -> Sent:
        with override_settings(**self.settings):
            if self.app is None:
                self.app = self.build()
            return (send_wsgi if self.world == "wsgi" else send_asgi)(
                self.app, method, path, headers, **extra
            )
