"""How a command that serves something waits for its end."""

from __future__ import annotations

from time import sleep

__all__ = ["wait"]


def wait() -> None:
    """Return when the user has had enough."""
    try:
        while True:
            sleep(3600)
    except KeyboardInterrupt:
        pass
