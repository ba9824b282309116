"""Who is at the other end: a client's address, scheme and host, as far as listed proxies tell.

Everybody can write `X-Forwarded-For` (RFC 7239 §8.1). So these fields count only if the peer of the
connection is a listed proxy, and of the addresses only the right-most that is none: what stands
left of it is the client's own word. What is doubtful is not known, and a condition that asks for it
is in error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from authz_middleware.document import Section
from authz_middleware.facts import Surroundings

__all__ = ["Clients", "read"]

_Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class _Hop(NamedTuple):
    """What one proxy says of whom it was asked by."""

    node: str
    scheme: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Clients:
    """`trusted_proxies` and `hosts`, compiled; None where the policy does not say."""

    proxies: tuple[_Network, ...] | None = None
    hosts: frozenset[str] | None = None

    def ip(self, around: Surroundings) -> str | None:
        """Return the client's address, as IPv4 where it is one; None if it is not known."""
        peer = _address(around.peer or "")
        if peer is None or not self._is_proxy(peer):
            return None if peer is None else str(peer)
        told = {client and str(_address(client.node)) for client in self._clients(around)}
        return told.pop() if len(told) == 1 else None

    def scheme(self, around: Surroundings) -> str | None:
        """Return "http" or "https" (also for WebSockets); None if it is not known."""
        if _address(around.peer or "") is None:
            return None
        if not self._from_proxy(around):
            return _SCHEMES.get(around.scheme)
        told = self._forwarded(around, "scheme", "x-forwarded-proto")
        return _SCHEMES.get(told.pop().lower()) if len(told) == 1 else None

    def host(self, around: Surroundings) -> str | None:
        """Return the host that is asked for, without a port, if it is one of `hosts`."""
        told = self._forwarded(around, "host", "x-forwarded-host")
        if not told:
            told = {around.fields.get("host", "")}
        name = _host(told.pop()) if len(told) == 1 else None
        return name if self.hosts is not None and name in self.hosts else None

    def _is_proxy(self, address: _Address) -> bool:
        return any(address in network for network in self.proxies or ())

    def _from_proxy(self, around: Surroundings) -> bool:
        peer = _address(around.peer or "")
        return peer is not None and self._is_proxy(peer)

    def _clients(self, around: Surroundings) -> Iterator[_Hop | None]:
        """Yield the client that each kind of field names; None where it names none."""
        if "x-forwarded-for" in around.fields:
            nodes = around.fields["x-forwarded-for"].split(",")
            yield self._client([_Hop(node.strip()) for node in nodes])
        if "forwarded" in around.fields:
            yield self._client(_elements(around.fields["forwarded"]))

    def _client(self, hops: Sequence[_Hop]) -> _Hop | None:
        for hop in reversed(hops):
            address = _address(hop.node)
            if address is None:
                return None
            if not self._is_proxy(address):
                return hop
        return None

    def _forwarded(self, around: Surroundings, name: str, field: str) -> set[str]:
        """Return what a listed proxy says of it; more than one thing is nothing."""
        told = set[str]()
        if self._from_proxy(around):
            if (value := around.fields.get(field)) is not None:
                told.add(value.strip())
            if "forwarded" in around.fields:
                client = self._client(_elements(around.fields["forwarded"]))
                value = "," if client is None else getattr(client, name)
                told |= set() if value is None else {value}
        return told


_V4_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}")
_V6 = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")


def _address(node: str) -> _Address | None:
    """Read a node (RFC 7239 §6); None for `unknown`, for a hidden one and for what is none."""
    if match := _V4_PORT.fullmatch(node) or _V6.fullmatch(node):
        node = match[1]
    try:
        address = ip_address(node)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address  # how a socket for both tells an IPv4 peer
    return address


_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'\s*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")\s*')


def _elements(field: str) -> list[_Hop]:
    """Read `Forwarded` (RFC 7239 §4); what is not well formed ends in a hop that nobody knows."""
    hops: list[_Hop] = []
    pairs: dict[str, str] = {}
    at = 0
    while match := _PAIR.match(field, at):
        name = match[1].lower()
        value = match[2] if match[3] is None else re.sub(r"\\(.)", r"\1", match[3])
        if name in pairs:
            break
        pairs[name] = value
        at = match.end()
        end = field[at : at + 1]
        if end in ("", ","):
            hops.append(_Hop(pairs.get("for", ""), pairs.get("proto"), pairs.get("host")))
            pairs = {}
        if end == "":
            return hops
        if end not in (",", ";"):
            break
        at += 1
    return [*hops, _Hop("")]


_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_PORT = re.compile(r":[0-9]{0,5}\Z")


def _host(text: str) -> str | None:
    """Return the host of a Host field (RFC 9110 §7.2) in lower case, without port or last dot."""
    name = _PORT.sub("", text.strip().lower()).removesuffix(".")
    return name if _NAME.fullmatch(name) else None


def read(root: Section) -> Clients:
    """Read `trusted_proxies` and `hosts`; mistakes go to the section's report."""
    proxies = root.texts("trusted_proxies")
    hosts = root.texts("hosts")
    if hosts == () and root.raw("hosts") == []:
        root.error("hosts", "an empty `hosts` names none", "leave it out, or name some")
    return Clients(
        None if proxies is None else tuple(_networks(root, proxies)),
        None if hosts is None else frozenset(_hosts(root, hosts)),
    )


def _networks(root: Section, texts: Sequence[str]) -> Iterator[_Network]:
    for text in texts:
        fix = 'write an address or a network: `["10.0.0.7", "10.1.0.0/16"]`'
        try:
            network = ip_network(text)
        except ValueError:
            what = "is no network"
            if "/" in text and _address(text.partition("/")[0]):
                what, fix = "has bits outside of its mask", "write them as zero"
            root.error("trusted_proxies", f"`{text}` {what}", fix)
            continue
        if network.prefixlen == 0:
            root.error("trusted_proxies", f"`{text}` is everybody", fix)
        elif isinstance(network, IPv6Network) and network[0].ipv4_mapped:
            fix = "write the IPv4 network"
            root.error("trusted_proxies", f"`{text}` is for peers over IPv4", fix)
        yield network


def _hosts(root: Section, texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        if _host(text) != text:
            fix = "write the name in lower case, without scheme, port, path and `*`"
            root.error("hosts", f"`{text}` is no host name", fix)
        yield text
