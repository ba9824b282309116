"""The file that keeps an issuer's last good keys, so that a restart in an outage serves.

Whoever can write it chooses the keys. So it is believed only if nobody but us or root could have
written it, and then like a document that was fetched: strictly parsed, for the issuer and the
source that it was saved for, and no younger than it can be. It holds public members only.
"""

from __future__ import annotations

import json
import math
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from authz_middleware.runtime.fetch import MAX_BYTES
from authz_middleware.tokens import strict_json
from authz_middleware.tokens.keys import KeySet, KeysUnusable, from_jwks
from authz_middleware.tokens.rejection import Rejected

__all__ = ["FileUnusable", "LastGood"]

# RFC 7517 §4, RFC 7518 §6, RFC 8037 §2: all that is read of a key, and nothing private. `issuer`
# says whose key it is, in a set that many tenants share.
_PUBLIC: Final = ("kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e", "issuer")


class FileUnusable(Exception):
    """The file is not believed, or could not be written; the text says why."""


class LastGood(NamedTuple):
    """One file, for the keys of one issuer from one source (a URL, or "discovery")."""

    path: Path
    issuer: str
    source: str

    def load(self, now: float) -> tuple[KeySet, float] | None:
        """Return the keys and when they were fetched, or None if there is no file.

        Raises FileUnusable. Times are in seconds since the epoch.
        """
        try:
            data = _read(self.path)
            found = strict_json.loads(data)
            members = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
            keys = from_jwks(members)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FileUnusable(error.strerror or type(error).__name__) from error
        except Rejected as rejected:
            raise FileUnusable(f"not strict JSON ({rejected.detail})") from rejected
        except KeysUnusable as unusable:
            raise FileUnusable(unusable.reason) from unusable
        if (members.get("issuer"), members.get("source")) != (self.issuer, self.source):
            raise FileUnusable("it was saved for another issuer or source")
        fetched_at = members.get("fetched_at")
        if (
            isinstance(fetched_at, bool)
            or not isinstance(fetched_at, (int, float))
            or not 0 <= fetched_at <= now
        ):
            raise FileUnusable("its time is in the future, or none")
        return keys, float(fetched_at)

    def save(self, document: Any, fetched_at: float) -> None:
        """Write the keys of `document`, which was found good; raises FileUnusable."""
        content: dict[str, Any] = {
            "issuer": self.issuer,
            "source": self.source,
            "fetched_at": math.floor(fetched_at),
            "keys": [
                {name: entry[name] for name in _PUBLIC if name in entry}
                for entry in cast("list[Any]", document["keys"])
                if isinstance(entry, dict)
            ],
        }
        data = json.dumps(content, ensure_ascii=False).encode()
        if len(data) > MAX_BYTES:
            raise FileUnusable(f"larger than {MAX_BYTES} bytes")
        try:
            _replace(self.path, data)
        except OSError as error:
            raise FileUnusable(error.strerror or type(error).__name__) from error


def _read(path: Path) -> bytes:
    # No link is followed, and nobody waits for a pipe.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a descriptor
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FileUnusable("not a regular file")
        # Permissions of this kind are POSIX's.
        if os.name == "posix" and status.st_uid not in (0, os.geteuid()):
            raise FileUnusable("it belongs to another user")
        if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise FileUnusable("others may write it: chmod go-w")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FileUnusable(f"larger than {MAX_BYTES} bytes")
    return data


def _replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` as a whole or not at all, readable and writable by us only."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
