"""The newsroom for a server that speaks ASGI."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_app.settings")

# Loads the middleware, and with it the policy: one that cannot be served stops the process here.
application = get_asgi_application()
