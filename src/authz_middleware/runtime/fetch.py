"""Fetching a small JSON document from an identity provider: the one door to the HTTP client.

Bounded in time and size, no redirects, no proxy or credentials from the environment, certificates
verified (RFC 8414 §6). What it does not get it reports as `FetchFailed`, whatever went wrong.
"""

from __future__ import annotations

import time

import httpx2

__all__ = ["MAX_BYTES", "TOTAL_SECONDS", "FetchFailed", "NotFound", "fetch"]

MAX_BYTES = 1024 * 1024
"""Real key sets are a few kilobytes."""

TOTAL_SECONDS = 5.0
"""From the first byte sent to the last received; a provider that trickles gains nothing by it."""


class FetchFailed(Exception):
    """The document could not be had; the text says why and is fit for a log."""


class NotFound(FetchFailed):
    """The provider answered that there is no such document."""


def fetch(url: str) -> bytes:
    """Return the body of `url`; raises `FetchFailed`."""
    deadline = time.monotonic() + TOTAL_SECONDS
    try:
        with (
            httpx2.Client(trust_env=False, follow_redirects=False, timeout=TOTAL_SECONDS) as client,
            client.stream(
                "GET",
                url,
                # No compression: a small answer must not unfold into a large one.
                headers={"accept": "application/json", "accept-encoding": "identity"},
            ) as response,
        ):
            if response.status_code in (404, 410):
                raise NotFound(f"{url}: status {response.status_code}")
            if response.status_code != 200:
                raise FetchFailed(f"{url}: status {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FetchFailed(f"{url}: a compressed answer was not asked for")
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise FetchFailed(f"{url}: more than {MAX_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise FetchFailed(f"{url}: took longer than {TOTAL_SECONDS} s")
            return bytes(body)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise FetchFailed(f"{url}: {type(error).__name__}") from error
