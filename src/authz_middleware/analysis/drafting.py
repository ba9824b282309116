"""A first policy for an app, from its own routes: all of them denied, for somebody to open."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.policy.routes import Route, RouteTable
from authz_middleware.policy.segments import AnyOf, Exact, PathTail, Segment, Typed
from authz_middleware.policy.template import TemplateError, parse
from authz_middleware.policy.words import printable
from authz_middleware.runtime import settings

__all__ = ["draft"]

HEAD: Final = """\
# Who may do what. Every route is denied until you say who may take it:
#   "public"           everybody
#   "authenticated"    every caller with a valid token
#   ["editor"]         callers with one of these roles
# A request that no rule matches is denied as well.

[[issuers]]
issuer = {issuer}  # exactly as your identity provider names itself
audience = [{audience}]  # what its tokens call this service

[roles]  # role = permissions
# viewer = []
# editor = {{ inherits = ["viewer"], permissions = [] }}

[routes]
"""

# Where one of ours would be several rules' worth: what does not fit into a name.
_NOT_OF_A_NAME: Final = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of [routes], what it stands for, and why it cannot be written if it cannot."""

    path: str
    methods: frozenset[str] | None
    routes: tuple[Route, ...]
    wrong: str = ""

    @property
    def text(self) -> str:
        methods = "|".join(sorted(self.methods)) if self.methods else ""
        return f"{methods} {self.path}".lstrip()

    @property
    def group(self) -> str:
        """The first segment: what belongs together stands together."""
        return self.path.split("/")[1]


def draft(table: RouteTable, *, issuer: str, audience: str) -> str:
    """Return the text of a policy in TOML that denies each route of `table`.

    A route that no template says exactly stands under one that takes no less. What cannot be a rule
    is a comment, with the reason.
    """
    keys = sorted(_keys(table.routes), key=lambda key: (key.group, key.path))
    while wrong := _mistakes(keys):
        keys = [replace(key, wrong=key.wrong or wrong.get(key.text, "")) for key in keys]
    head = HEAD.format(issuer=_quoted(issuer), audience=_quoted(audience))
    between = "".join(_comment(f"May answer before the app does: {each}") for each in table.between)
    return between + head + "".join(_lines(keys))


def _keys(routes: Iterable[Route]) -> Iterator[_Key]:
    """Yield one key for all routes that take the same paths."""
    by_shape: dict[object, tuple[str, list[Route]]] = {}
    for route in routes:
        path = _spelled(route)
        try:
            shape = parse(path).shape
        except TemplateError as error:
            yield _Key(path, None, (route,), str(error))
            continue
        by_shape.setdefault(shape, (path, []))[1].append(route)
    for path, few in by_shape.values():
        methods: frozenset[str] | None = frozenset()
        for route in few:
            asked = route.methods and route.methods - route.automatic - {"HEAD"}
            methods = None if methods is None or not asked else methods | asked
        yield _Key(path, methods, tuple(few))


def _spelled(route: Route) -> str:
    """The route's own spelling where it says all there is to say, else one of ours."""
    try:
        if parse(route.text).shape == route.template.shape:
            return route.text
    except TemplateError:
        pass
    return _path(route.segments)


def _path(segments: Iterable[Segment]) -> str:
    parts: list[str] = []
    names: set[str] = set()
    for segment in segments:
        if isinstance(segment, Exact):
            parts.append(segment.text)
            continue
        if segment.name is None:
            parts.append("**")
            break
        name = _NOT_OF_A_NAME.sub("_", segment.name.partition(":")[0]).strip("_") or "part"
        name = f"p{name}" if name[0].isdigit() else name
        while name in names:
            name += "_"
        names.add(name)
        if isinstance(segment, PathTail):  # with what follows it, for which no template has a word
            parts.append(f"<path:{name}>")
            break
        if isinstance(segment, AnyOf):
            parts.append(f"<any({','.join(segment.values)}):{name}>")
        else:
            parts.append(f"<{segment.kind}:{name}>" if isinstance(segment, Typed) else f"<{name}>")
    return "/" + "/".join(parts)


def _mistakes(keys: Iterable[_Key]) -> Mapping[str, str]:
    """What keeps a policy of these keys from being served, by key."""
    texts = [key.text for key in keys if not key.wrong]
    mapping = {
        "issuers": [{"issuer": "http://127.0.0.1", "audience": ["a"]}],
        "routes": dict.fromkeys(texts, "deny"),
    }
    try:
        settings.load(Document.from_mapping(mapping))
    except PolicyError as error:
        places = {f"routes.{json.dumps(text)}": text for text in texts}
        found = {places.get(problem.where, ""): problem.what for problem in error.problems}
        # One that is of no key is of all of them: then nothing is left to be mistaken.
        return found if "" not in found else dict.fromkeys(texts, found[""])
    return {}


def _lines(keys: Iterable[_Key]) -> Iterator[str]:
    for _, few in groupby(keys, key=lambda key: key.group):
        yield "\n"
        for key in few:
            told = ", ".join(dict.fromkeys(_told(route) for route in key.routes))
            if key.wrong:
                yield _comment(f"{_quoted(key.text)} cannot be a rule: {key.wrong} ({told})")
            else:
                yield f'{_quoted(key.text)} = "deny"  {_comment(told)}'


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # as TOML has it, for what a path may hold


def _comment(text: str) -> str:
    return f"# {printable(text)}\n"


def _told(route: Route) -> str:
    parts = [route.endpoint or route.kind]
    if route.text != _spelled(route):
        parts.append(f"as {route.text}")
    if route.kind != "handler" and route.endpoint:
        parts.append(route.kind)
    if route.host:
        parts.append(f"only for {route.host}")
    return " ".join(parts)
