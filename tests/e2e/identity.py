"""npm's certified `oidc-provider` as a process on loopback, and what a client of it does.

What it serves, and what may be changed while it runs, stands in `provider/provider.mjs`. Its
packages are installed from the lock file, once, into the user's cache folder.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx2

from examples.demo.servers import running
from tests.missing import missing

__all__ = ["ALGORITHMS", "AUDIENCE", "Identity", "UserTokens", "serving"]

SOURCE = Path(__file__).parent / "provider"
LOCKED = ("package.json", "package-lock.json", ".npmrc")

AUDIENCE = "orders-api"
RESOURCES = "https://api.example.com/"
CALLBACK = "https://shop.example.com/callback"  # nobody goes there: the test reads the code itself
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
)


class UserTokens(NamedTuple):
    """What the code flow brings for a user who has logged in and agreed."""

    access_token: str
    id_token: str


class Identity:
    """The running provider, seen by its clients and by whoever operates it."""

    def __init__(self, issuer: str, http: httpx2.Client) -> None:
        self.issuer = issuer
        self._http = http

    # A client.

    def client_token(self, resource: str) -> str:
        """Return an access token of the client itself; `resource` is an algorithm, or "opaque"."""
        received = self._post(
            "/token",
            "orders-batch",
            grant_type="client_credentials",
            resource=RESOURCES + resource,
            scope="orders:read",
        )
        return str(received.json()["access_token"])

    def user_tokens(self, login: str, resource: str) -> UserTokens:
        """Log a user in, have them agree, and exchange the code (RFC 6749 §4.1, RFC 7636)."""
        verifier = secrets.token_urlsafe(32)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": "orders-web",
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid orders:read",
            "resource": RESOURCES + resource,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        with _http(self.issuer) as browser:  # with its own cookies
            place = str(browser.get("/auth", params=query).headers["location"])
            for _ in range(4):  # to the log-in and back, to the consent and back
                if "/interaction/" in place:
                    answer = browser.post(place, data={"login": login})
                else:
                    answer = browser.get(place)
                place = str(answer.headers["location"])
        assert place.startswith(CALLBACK), place
        code = parse_qs(urlsplit(place).query)["code"][0]
        received = self._post(
            "/token",
            "orders-web",
            grant_type="authorization_code",
            code=code,
            redirect_uri=CALLBACK,
            code_verifier=verifier,
            resource=RESOURCES + resource,
        ).json()
        return UserTokens(received["access_token"], received["id_token"])

    def revoke(self, token: str) -> None:
        """Take a client's own opaque token back (RFC 7009)."""
        self._post("/token/revocation", "orders-batch", token=token)

    def _post(self, path: str, client: str, **form: str) -> httpx2.Response:
        answer = self._http.post(path, auth=(client, f"secret-of-{client}"), data=form)
        answer.raise_for_status()
        return answer

    # Whoever operates it.

    def new_keys(self, *, keep: bool) -> None:
        """Sign with new keys; the old ones stay in the key set beside them, or are withdrawn."""
        self._control("keys", keep="yes" if keep else "no")

    @contextmanager
    def key_set_answers(self, answer: str) -> Iterator[None]:
        """Let the key set's address answer "error" (500), or "hang", while the block runs."""
        self._control("jwks", answer=answer)
        try:
            yield
        finally:
            self._control("jwks", answer="keys")

    def _control(self, what: str, **query: str) -> None:
        self._http.post(f"/control/{what}", params=query).raise_for_status()


@contextmanager
def serving(directory: Path) -> Iterator[Identity]:
    """Run the provider while the block runs; skips where it cannot be had."""
    modules = _modules()
    (directory / "node_modules").symlink_to(modules, target_is_directory=True)
    shutil.copy(SOURCE / "package.json", directory)
    program = shutil.copy(SOURCE / "provider.mjs", directory)
    # Its warnings are about what a provider for tests is: all in memory, and on Node 20 untested.
    with running("provider", ["node", str(program)], directory, {}) as server:
        issuer = f"http://127.0.0.1:{server.port}"
        with _http(issuer) as http:
            yield Identity(issuer, http)


def _http(issuer: str) -> httpx2.Client:
    return httpx2.Client(base_url=issuer, trust_env=False, timeout=30)


def _modules() -> Path:
    """Return a folder with the packages of the lock file, installed if it is not there yet."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            missing(f"no `{program}` on PATH: the identity provider of these tests runs on Node.js")
    locked = b"".join((SOURCE / name).read_bytes() for name in LOCKED)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "authz-middleware"
    installed = home / f"provider-{hashlib.sha256(locked).hexdigest()[:16]}"
    if not installed.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as folder:
            for name in LOCKED:
                shutil.copy(SOURCE / name, folder)
            done = subprocess.run(
                ["npm", "ci"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
            )
            if done.returncode:
                missing(f"`npm ci` cannot install the identity provider: {done.stderr.strip()}")
            # Whole or not at all; another run may have been quicker.
            if not installed.is_dir():
                Path(folder).rename(installed)
    # Packages look for each other in the nearest folder of this name, links resolved.
    return installed / "node_modules"
