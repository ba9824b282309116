"""Django: every view of a project's urlconfs, in our words, and what names the one that is taken.

That is the urlconf, and the very patterns that led to the view. Where their text hangs on the
language, all prefixes of languages are one route, and each translation is another.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, NamedTuple, cast

from django.conf import settings
from django.contrib.staticfiles import views as staticfiles
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import LocalePrefixPattern, RegexPattern, RoutePattern
from django.utils.functional import Promise
from django.utils.translation import override
from django.views import static
from django.views.generic import RedirectView, View

from authz_middleware.errors import PolicyError, Problem
from authz_middleware.frameworks.django_patterns import (
    ANYTHING,
    SLASH,
    Piece,
    of_regex,
    of_route,
    one_of,
    segments,
)
from authz_middleware.frameworks.endpoints import where
from authz_middleware.policy.routes import Route, RouteKind

__all__ = ["has_prefixes", "key", "matched", "url_routes", "urlconf_name", "urlconfs"]

Chain = tuple[Any, ...]
"""The patterns that lead to a view, its own the last; the one of the urlconf itself is left out."""

_LANGUAGE: Final = "<language>/"

_SETTING: Final = "AUTHZ_URLCONFS"

_by_language: dict[Hashable, Hashable] = {}
"""An urlconf, what Django calls the route in one language, and patterns -> what names the route."""


def urlconfs() -> list[Any]:
    """The project's urlconf, and those that its middlewares may put in its place.

    Raises PolicyError if AUTHZ_URLCONFS names a module that does not exist.
    """
    named: Any = getattr(settings, "AUTHZ_URLCONFS", ())
    if not isinstance(named, (list, tuple)):
        fix = 'write a list, such as ["shop.urls_admin"]'
        raise PolicyError([Problem(_SETTING, f"{named!r} is no list", fix)])
    listed = cast("list[object]", named)
    missing = [each for each in listed if isinstance(each, str) and not _exists(each)]
    if missing:
        raise PolicyError([_unknown(each, "there is no such module") for each in missing])
    return [None, *listed]


def _exists(name: str) -> bool:
    try:
        return name in sys.modules or find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _unknown(urlconf: object, what: str) -> Problem:
    return Problem(_SETTING, f"{urlconf!r} is no urlconf: {what}", "name a module of URLs")


def url_routes() -> Iterator[Route]:
    """Yield the routes of every urlconf that is known.

    Raises PolicyError if one that AUTHZ_URLCONFS names cannot be loaded.
    """
    for urlconf in urlconfs():
        try:
            patterns = get_resolver(urlconf).url_patterns
        except Exception as error:
            if urlconf is None:
                raise
            raise PolicyError([_unknown(urlconf, str(error))]) from error
        for chain in _chains(patterns, (), (patterns,)):
            for variant in _variants(chain):
                yield _route(urlconf_name(urlconf), chain, variant)


def key(request: Any, view: object) -> Hashable:
    """Return what names, among the routes, the one that Django's router took for `request`."""
    match = request.resolver_match
    urlconf = urlconf_name(getattr(request, "urlconf", None))
    if match is None or match.func is not view:  # somebody else has chosen
        return urlconf, where(view)
    return matched(urlconf, match)


def matched(urlconf: Hashable, match: Any) -> Hashable:
    """Do so for what the resolver of an urlconf has found."""
    chain = tuple(match.tried[-1]) if match.tried else ()
    return _by_language.get((urlconf, match.route, chain), (urlconf, chain))


def has_prefixes() -> bool:
    """Whether the project's paths may begin with a language."""
    return any(
        isinstance(getattr(entry, "pattern", None), LocalePrefixPattern)
        for entry in get_resolver().url_patterns
    )


def urlconf_name(urlconf: Any) -> Hashable:
    """Return what an urlconf is told apart by; None is the project's own."""
    if urlconf is None:
        urlconf = settings.ROOT_URLCONF
    name: Hashable = urlconf.__name__ if isinstance(urlconf, ModuleType) else urlconf
    return name


# --- The tree of patterns ---


def _chains(entries: Iterable[Any], above: Chain, lists: tuple[Any, ...]) -> Iterator[Chain]:
    for entry in entries:
        chain = (*above, entry)
        if _is_plain(entry, URLResolver) and not any(
            entry.url_patterns is each for each in lists
        ):  # an urlconf may include itself
            yield from _chains(entry.url_patterns, chain, (*lists, entry.url_patterns))
        else:
            yield chain


def _is_plain(entry: Any, kind: type[URLPattern | URLResolver]) -> bool:
    """Whether an entry of an urlconf finds its view as Django's own do."""
    return isinstance(entry, kind) and type(entry).resolve is kind.resolve


class _Variant(NamedTuple):
    """What the patterns of a chain say in some languages, and how their paths begin in those."""

    texts: tuple[str, ...]
    prefixes: tuple[str, ...] = ("",)  # such as "en/"; one that is empty for languages without
    by_language: bool = False


def _variants(chain: Chain) -> Iterable[_Variant]:
    patterns: list[Any] = [entry.pattern for entry in chain if hasattr(entry, "pattern")]
    translated = any(
        isinstance(value, Promise) for each in patterns for value in each.__dict__.values()
    )
    prefix = next((each for each in patterns if isinstance(each, LocalePrefixPattern)), None)
    if not translated and prefix is None:
        return [_Variant(tuple(map(_text, chain)))]
    found: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    # Also one that is not among them, as "en-us" may be: it is active where nobody chooses.
    for code in dict.fromkeys((settings.LANGUAGE_CODE, *(code for code, _ in settings.LANGUAGES))):
        with override(code) if translated else nullcontext():
            texts = tuple(map(_text, chain))
        bare = prefix is None or (
            code == settings.LANGUAGE_CODE and not prefix.prefix_default_language
        )
        found.setdefault((texts, bare), []).append("" if bare else f"{code}/")
    return [
        _Variant(texts, tuple(prefixes), by_language=True) for (texts, _), prefixes in found.items()
    ]


def _text(entry: Any) -> str:
    pattern = getattr(entry, "pattern", "")
    return _LANGUAGE if isinstance(pattern, LocalePrefixPattern) else str(pattern)


def _joined(texts: Sequence[str], prefix: str) -> str:
    """Return what Django makes of the texts of a chain: the `route` of its match."""
    *before, joined = [prefix if text == _LANGUAGE else text for text in texts]
    for text in reversed(before):
        joined = text + joined.removeprefix("^") if text else joined
    return joined


def _route(urlconf: Hashable, chain: Chain, variant: _Variant) -> Route:
    taken: Hashable = urlconf, chain
    shown = _joined(variant.texts, _LANGUAGE if variant.prefixes[0] else "")
    if variant.by_language:
        taken = urlconf, shown, chain
        for prefix in variant.prefixes:
            _by_language[urlconf, _joined(variant.texts, prefix), chain] = taken
    last = chain[-1]
    pieces = [
        piece
        for entry, text in zip(chain, variant.texts, strict=True)
        for piece in _pieces(entry, text, variant.prefixes, is_last=entry is last)
    ]
    if not isinstance(last, URLPattern):
        text, name = f"/{shown}**", where(last)
        return Route(("", taken), text, segments(pieces), None, name, kind="opaque")
    view: Any = last.callback
    methods, automatic = _methods(view)
    return Route(
        ("", taken),
        f"/{shown}",
        segments(pieces),
        methods,
        where(getattr(view, "view_class", view)),
        kind=_kind(view),
        automatic=automatic,
        exact=False,  # `(?i)` is a habit of its patterns
    )


def _pieces(entry: Any, text: str, prefixes: Sequence[str], *, is_last: bool) -> Sequence[Piece]:
    if not (_is_plain(entry, URLPattern) or _is_plain(entry, URLResolver)):
        return [ANYTHING]  # it finds its views in a way of its own
    pattern = entry.pattern
    is_endpoint: bool = getattr(pattern, "_is_endpoint", False)
    if is_last and isinstance(entry, URLResolver):
        return [*_pieces(entry, text, prefixes, is_last=False), ANYTHING]
    if type(pattern) is RoutePattern:
        is_open = is_last and not is_endpoint
        return of_route(text, pattern.converters, is_open=is_open)
    if type(pattern) is RegexPattern:
        return of_regex(text, is_endpoint=is_endpoint, is_last=is_last)
    if type(pattern) is LocalePrefixPattern:
        codes = [prefix[:-1] for prefix in prefixes if prefix]
        return [one_of(codes, "language"), SLASH] if codes else []
    return [ANYTHING]  # a kind of pattern that is not Django's


# --- Views ---


def _kind(view: Any) -> RouteKind:
    if getattr(view, "view_class", None) is RedirectView:
        return "redirect"
    return "static" if view in (static.serve, staticfiles.serve) else "handler"


def _methods(view: Any) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The methods that a view takes, if that can be seen, and those that Django answers itself."""
    known: Any = getattr(view, "view_class", View)
    if known is View or not all(
        each.__module__.startswith("django.") for each in known.__mro__ if "dispatch" in vars(each)
    ):
        return None, frozenset()
    given: Mapping[str, Any] = getattr(view, "view_initkwargs", {})
    names: Iterable[str] = given.get("http_method_names", known.http_method_names)
    methods = {name.upper() for name in names if hasattr(known, name)}
    if "GET" in methods and "head" in names:
        methods.add("HEAD")
    inherited: Any = View
    answered = {"OPTIONS"} & methods if known.options is inherited.options else set[str]()
    return frozenset(methods), frozenset(answered)
