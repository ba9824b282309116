"""One of the apps behind our guard, for a real server: which one, and the policy, say variables.

Its handlers write their names to a file when they run.
"""

from __future__ import annotations

import os
from pathlib import Path

from authz_middleware import Authz
from tests.adversarial import routes
from tests.adversarial.apps import KINDS

_log = Path(os.environ["ADVERSARIAL_RAN"])


class _Written(list[str]):
    """Takes the place of `RAN`, which is of this process alone."""

    def append(self, handler: str, /) -> None:
        with _log.open("ab", buffering=0) as file:
            file.write(handler.encode() + b"\n")


routes.RAN = _Written()
_kind = next(kind for kind in KINDS if kind.name == os.environ["ADVERSARIAL_APP"])
if _kind.name.startswith("django"):
    from tests.django.projects import configure

    configure()
    from django.conf import settings

    settings.ROOT_URLCONF = "tests.adversarial.apps.djangos"

app = _kind.wrap(_kind.make(), Authz.from_file(os.environ["ADVERSARIAL_POLICY"]))
