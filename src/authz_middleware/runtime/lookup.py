"""One look at an issuer's keys: where they are (RFC 8414, OpenID Connect Discovery §4), and what.

It says of them as of when they are the provider's, and how long they are good for by its word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from authz_middleware.runtime.fetch import Fetched, FetchFailed, NotFound
from authz_middleware.tokens import caching, freshness, strict_json
from authz_middleware.tokens.issuers import Discovery, JwksUri, secure_url
from authz_middleware.tokens.keys import KeySet, from_jwks

__all__ = ["Fetch", "Found", "Lookup", "discovery_urls"]

Fetch = Callable[[str], Fetched]


class Found(NamedTuple):
    """A good key set: `document` is its text, parsed; `lifetime` is None if nothing was said."""

    keys: KeySet
    document: Any
    lifetime: float | None
    as_of: float


class _Place(NamedTuple):
    """Where the key set is, and as of when and until when the provider said so."""

    url: str
    as_of: float
    until: float


class Lookup:
    """Looks at the keys of one issuer, each time on whichever thread asks; one at a time."""

    def __init__(
        self, config: JwksUri | Discovery, fetch: Fetch, clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._fetch = fetch
        self._clock = clock
        self._place: _Place | None = None

    def look(self, *, anew: bool) -> Found:
        """Return the keys; raises FetchFailed, KeysUnusable or Rejected.

        Unless `anew`, metadata that were read before are relied on for as long as they said.
        """
        place = self._locate(anew)
        begun = self._clock()
        fetched = self._fetch(place.url)
        document = strict_json.loads(fetched.body)
        as_of, lifetime = _freshness(fetched, begun)
        return Found(from_jwks(document), document, lifetime, min(as_of, place.as_of))

    def _locate(self, anew: bool) -> _Place:
        now = self._clock()
        if isinstance(self._config, JwksUri):
            return _Place(self._config.url, now, now)
        known = self._place
        # Not after the clock was set back: then nobody knows how long ago that was.
        if known is None or anew or not known.as_of <= now < known.until:
            self._place = known = None
            self._place = known = self._discover(self._config)
        return known

    def _discover(self, config: Discovery) -> _Place:
        for url in discovery_urls(config.issuer):
            begun = self._clock()
            try:
                fetched = self._fetch(url)
            except NotFound:
                continue
            found = _jwks_uri(strict_json.loads(fetched.body), config.issuer)
            as_of, lifetime = _freshness(fetched, begun)
            until = begun + freshness.bounded(lifetime, config.cache.limits)
            return _Place(found, as_of, until)
        raise FetchFailed(f"{config.issuer}: no discovery document")


def _freshness(fetched: Fetched, begun: float) -> tuple[float, float | None]:
    """Return as of when a document is its origin's, and how many seconds it is still good for."""
    held = caching.age(fetched.age)
    lifetime = caching.lifetime(fetched.cache_control)
    return begun - held, None if lifetime is None else lifetime - held


def discovery_urls(issuer: str) -> tuple[str, ...]:
    """Return where an issuer's metadata may be, in the order to ask.

    RFC 8414 §3.1 inserts the well-known part before the path; OpenID Connect appends it.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
    )
    return tuple(dict.fromkeys(urls))


def _jwks_uri(document: Any, issuer: str) -> str:
    """Return `jwks_uri` of a metadata document that is really this issuer's (RFC 8414 §3.3)."""
    members = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    if members.get("issuer") != issuer:
        raise FetchFailed(f"{issuer}: the discovery document is not this issuer's")
    url = members.get("jwks_uri")
    # Plain http on this machine is for an issuer on this machine; nobody else may point there.
    if not isinstance(url, str) or not secure_url(url) or (_plain(url) and not _plain(issuer)):
        raise FetchFailed(f"{issuer}: the discovery document has no https jwks_uri")
    return url


def _plain(url: str) -> bool:
    return urlsplit(url).scheme == "http"  # in lower case, however it was written
