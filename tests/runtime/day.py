"""A day of a service on a virtual clock: `python -m tests.runtime.day` prints its figures.

The real middleware core, engine and key source; only the transport and the threads are replaced.
The provider rotates every hour and is out of reach for two; an attacker sends 10,000 tokens with
key ids that nobody knows. Callers sign in once a minute, use their tokens for four hours, and use
a new one at once.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import sys
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field

from authz_middleware import Authz
from authz_middleware.effects import Outcome
from authz_middleware.runtime.fetch import Fetched, FetchFailed
from authz_middleware.tokens.freshness import COOLDOWN
from tests.runtime.asking import became, policy, request, table
from tests.tokens.minting import ISSUER, NOW, jwk, mint, private_key

HOUR = 3600.0
DAY = 24 * HOUR
OUTAGE = (10.5 * HOUR, 12.5 * HOUR)
TOKEN_LIFETIME = 4 * HOUR
UNKNOWN_KIDS = 10_000
MINUTE = 60.0


@dataclass(frozen=True)
class Scenario:
    """How the provider rotates, and whether somebody attacks."""

    ahead: float  # seconds for which a key is published before it signs; 0 is a sudden rotation
    attack: bool = True
    discovery: bool = False
    cache_control: str = "public, max-age=300"


@dataclass
class Figures:
    """What became of the callers' requests and of the attacker's, and what was fetched."""

    callers: Counter[str] = field(default_factory=Counter)
    attackers: Counter[str] = field(default_factory=Counter)
    fetches: Counter[str] = field(default_factory=Counter)
    failed: int = 0  # fetches
    asked_at: list[float] = field(default_factory=list)
    longest_503: float = 0.0  # seconds for which one caller was told to come again

    @property
    def most_in_a_cooldown(self) -> int:
        """The most key sets that were fetched in a time as long as the cooldown."""
        times = self.asked_at
        return max(
            bisect_left(times, begin + COOLDOWN) - index for index, begin in enumerate(times)
        )


class Day:
    """One run. Everything is deterministic."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.now = NOW
        self.figures = Figures()
        self.random = random.Random(1)
        entry = table(jwks_uri=None if scenario.discovery else f"{ISSUER}/jwks")
        self.authz = Authz.from_mapping(policy(entry), clock=lambda: self.now)
        source = self.authz.serving._remote[ISSUER]
        source._lookup._fetch = self.fetch
        source._jitter = self.random.random
        source._start = lambda work: work()

    # The provider.

    def number(self, ahead: float = 0.0) -> int:
        """The key that signs at a time from now."""
        return int((self.now - NOW + ahead) // HOUR)

    def fetch(self, url: str) -> Fetched:
        kind = "key set" if url.endswith("/jwks") else "metadata"
        if not self.reachable:
            self.figures.failed += 1
            raise FetchFailed(f"{url}: ConnectError")
        self.figures.fetches[kind] += 1
        if kind == "key set":
            self.figures.asked_at.append(self.now)
        if kind == "metadata":
            body: object = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"}
        else:
            newest = self.number(self.scenario.ahead)
            oldest = max(0, newest - int(TOKEN_LIFETIME // HOUR) - 1)
            numbers = range(oldest, newest + 1)
            body = {"keys": [jwk("ES256", number, kid=f"k{number}") for number in numbers]}
        return Fetched(json.dumps(body).encode(), self.scenario.cache_control)

    @property
    def reachable(self) -> bool:
        begin, end = OUTAGE
        return not begin <= self.now - NOW < end

    # The callers and the attacker.

    def sign_in(self, caller: int) -> str:
        number = self.number()
        return mint(
            {"kid": f"k{number}"},
            key=private_key("ES256", number),
            sub=f"caller {caller}",
            iat=int(self.now),
            exp=int(self.now + TOKEN_LIFETIME),
        )

    def forge(self, kid: int) -> str:
        claims = {
            "iss": ISSUER,
            "aud": "orders",
            "sub": "eve",
            "iat": int(self.now),
            "exp": int(self.now + 60),
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": f"unknown {kid}"}
        parts = (json.dumps(part).encode() for part in (header, claims))
        text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        return f"{text}.{'A' * 86}"

    async def ask(self, token: str) -> Outcome:
        """Ask from one world or the other."""
        asked = request(token=token)
        if self.random.random() < 0.5:
            return self.authz.serving.outcome(*asked)
        return await self.authz.serving.outcome_async(*asked)

    async def run(self) -> Figures:
        events: list[tuple[float, int, str]] = [
            *((at, 1, "sign in") for at in steps(MINUTE)),
            *((at, 2, "request") for at in steps(5.0)),
        ]
        if self.scenario.attack:
            events += ((at, 0, "attack") for at in steps(DAY / UNKNOWN_KIDS))
        tokens: deque[tuple[float, str]] = deque()
        waiting: dict[str, float] = {}  # told to come again, since when
        forged = 0
        for at, _, event in sorted(events):
            self.now = NOW + at
            if event == "attack":
                forged += 1
                self.figures.attackers[became(await self.ask(self.forge(forged)))] += 1
                continue
            if event == "sign in":
                if not self.reachable:
                    continue
                token = self.sign_in(round(at / MINUTE))
                tokens.append((self.now + TOKEN_LIFETIME, token))
            else:
                # The newest one as often as any other that is still good.
                while tokens[0][0] <= self.now:
                    tokens.popleft()
                token = (
                    next(iter(waiting), None)
                    or (tokens[-1] if self.random.random() < 0.5 else self.random.choice(tokens))[1]
                )
            outcome = became(await self.ask(token))
            self.figures.callers[outcome] += 1
            if outcome == "keys_unavailable":
                waiting.setdefault(token, self.now)
            elif token in waiting:
                waited = self.now - waiting.pop(token)
                self.figures.longest_503 = max(self.figures.longest_503, waited)
        return self.figures


def steps(pause: float) -> list[float]:
    return [index * pause for index in range(round(DAY / pause))]


def simulate(scenario: Scenario) -> Figures:
    return asyncio.run(Day(scenario).run())


SCENARIOS = {
    "published ahead, attack": Scenario(ahead=600.0, discovery=True),
    "sudden": Scenario(ahead=0.0, attack=False),
    "sudden, attack": Scenario(ahead=0.0),
}


def main() -> None:
    logging.disable(logging.CRITICAL)
    for name, scenario in SCENARIOS.items():
        found = simulate(scenario)
        sys.stdout.write(
            f"{name}: {sum(found.callers.values())} requests of callers, {dict(found.callers)};"
            f" of the attacker {dict(found.attackers)}; fetches {dict(found.fetches)}"
            f" and {found.failed} that failed,"
            f" at most {found.most_in_a_cooldown} in {COOLDOWN:.0f} s;"
            f" the longest 503 ended after {found.longest_503:.0f} s\n"
        )


if __name__ == "__main__":
    main()
