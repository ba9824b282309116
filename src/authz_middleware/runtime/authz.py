"""`Authz`: a policy compiled once, which many apps, threads and event loops may share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from inspect import iscoroutinefunction
from math import inf
from typing import Any, Final, cast
from uuid import uuid4

from authz_middleware.answers import Answers, RefusalRenderer
from authz_middleware.document import Document
from authz_middleware.errors import PolicyError, Problem
from authz_middleware.facts import Answer, Decision, Readiness
from authz_middleware.observe import DecisionObserver
from authz_middleware.observe.log import LOGGER
from authz_middleware.policy.binding import Binding
from authz_middleware.runtime import settings
from authz_middleware.runtime.drivers import MAX_WAIT
from authz_middleware.runtime.guarded import Guarded
from authz_middleware.runtime.in_force import InForce
from authz_middleware.runtime.loaders import AttributeLoader, checked
from authz_middleware.runtime.serving import Clock, Serving
from authz_middleware.runtime.trials import TrialCounts
from authz_middleware.runtime.watch import Watch

__all__ = ["NOT_ASKED", "Authz", "compiled", "not_loaded"]


NOT_ASKED: Final[Mapping[str, AttributeLoader]] = {}
"""Stands for loaders of any name, where a policy is looked at, and not served."""


class Authz:
    """A compiled policy. Make one with `from_file` or `from_mapping`; both raise `PolicyError`.

    `observers` are told of every decision. `clock` returns seconds since the epoch. `renderer`
    writes the bodies of refusals. `loaders` maps the names that `load` may have to what loads the
    attributes of an object. `store` is not supported in this version and refused.
    """

    def __init__(
        self,
        document: Document,
        *,
        loaders: Mapping[str, AttributeLoader] | None = None,
        observers: Sequence[DecisionObserver] = (),
        clock: Clock | None = None,
        store: object | None = None,
        renderer: RefusalRenderer | None = None,
    ) -> None:
        unsupported(store=store)
        _check_arguments(document, observers, clock, renderer)
        registered = checked(loaders)
        self.source: Final = document.source
        names = None if loaders is NOT_ASKED else registered

        def compiled_from(document: Document, before: Serving | None) -> Serving:
            compiled = settings.load(document, loaders=names)
            for name in sorted(registered.keys() - compiled.policy.loaders):
                LOGGER.warning("the loader %a is registered, but no rule names it", name)
            for issuer in compiled.issuers.values():
                if issuer.is_of_development:
                    LOGGER.warning(
                        "keys of development issuers are believed for %a: whoever has the key file"
                        " can be anyone",
                        issuer.issuer,
                    )
            return Serving(
                compiled,
                loaders=registered,
                observers=observers,
                clock=clock,
                renderer=renderer,
                before=before,
            )

        self.in_force: Final = InForce(document, compiled_from)
        self._watch: Watch | None = None

    @property
    def serving(self) -> Serving:
        """The policy in force; an adapter looks at it once a request."""
        if self._watch is not None and self._watch.asleep:
            self._watch.wake()
        return self.in_force.serving

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        loaders: Mapping[str, AttributeLoader] | None = None,
        observers: Sequence[DecisionObserver] = (),
        clock: Clock | None = None,
        store: object | None = None,
        renderer: RefusalRenderer | None = None,
        watch: float | None = None,
    ) -> Authz:
        """Compile a TOML, JSON or YAML file; relative files in it are beside it.

        Without `path` it is the file that the environment variable AUTHZ_CONFIG names. With `watch`
        the policy is reloaded when one of its files has changed: they are looked at every so many
        seconds, as soon as requests are served.
        """
        if watch is not None and not (_is_number(watch) and 0 < watch < inf):
            raise TypeError("watch must be a number of seconds, above 0")
        authz = cls(
            Document.read(_from_environment() if path is None else path),
            loaders=loaders,
            observers=observers,
            clock=clock,
            store=store,
            renderer=renderer,
        )
        authz._watch = Watch(authz.in_force, watch) if watch else None
        return authz

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any],
        *,
        loaders: Mapping[str, AttributeLoader] | None = None,
        observers: Sequence[DecisionObserver] = (),
        clock: Clock | None = None,
        store: object | None = None,
        renderer: RefusalRenderer | None = None,
    ) -> Authz:
        """Compile a mapping of the file's shape; relative files are in the working directory."""
        return cls(
            Document.from_mapping(mapping),
            loaders=loaders,
            observers=observers,
            clock=clock,
            store=store,
            renderer=renderer,
        )

    def bind(self, app: object) -> Binding:
        """Lay the policy against the routes of `app`, as is done by itself before it is served.

        Call it when all routes are registered. It puts the second look before the handlers, so
        that `app` answers only what comes through a guard. Raises PolicyError on a gap if the
        policy is `strict`.
        """
        return Guarded(app).binding(self.in_force.serving)

    def reload(self) -> None:
        """Read the policy anew, with all its files, and put it in force in place of this one.

        Requests in flight end under the policy that they began with. Of a mapping only the files
        that it names are read. Raises PolicyError if the new policy cannot be served: then the one
        in force stays, and it was logged at CRITICAL. From any thread.
        """
        self.in_force.reload()

    def warm(self, timeout: float = MAX_WAIT) -> Readiness:
        """Fetch the keys of all issuers now, waiting at most `timeout` seconds in all.

        It raises nothing: whether to start without keys is the caller's to say, by the
        `Readiness` that is returned. A fetch that takes longer goes on.
        """
        return self.in_force.told(self.in_force.serving.warm(timeout))

    async def warm_async(self, timeout: float = MAX_WAIT) -> Readiness:  # noqa: ASYNC109 - as `warm`
        """Do as `warm` does, leaving the event loop free (asyncio)."""
        return self.in_force.told(await self.in_force.serving.warm_async(timeout))

    def readiness(self) -> Readiness:
        """Return whether tokens can be verified now, issuer by issuer, and by which policy.

        It never waits. Keys that are missing, or that it is time to renew, are fetched meanwhile.
        """
        return self.in_force.told(self.in_force.serving.readiness())

    def trials(self, timeout: float = 0) -> tuple[TrialCounts, ...]:
        """Return what rules with `mode = "shadow"` and the `candidate` would have decided.

        They are asked after the request: what was handed over is waited for, at most `timeout`
        seconds. Each process counts for itself, and from the start of its policy.
        """
        return self.in_force.serving.trials(timeout)

    def __repr__(self) -> str:
        return f"Authz({self.source!r})"


def _check_arguments(
    document: object, observers: Sequence[object], clock: object, renderer: object
) -> None:
    """Raise TypeError at start for what would otherwise fail at each request."""
    if not isinstance(document, Document):
        raise TypeError("make an Authz with Authz.from_file(path) or Authz.from_mapping(mapping)")
    for observer in observers:
        if not _is_method(getattr(observer, "observe", None)):
            raise TypeError(
                f"{observer!r} is no observer: it has no observe(event) method that is not async"
            )
    if clock is not None and not (callable(clock) and isinstance(clock(), (int, float))):
        raise TypeError("clock must be a callable that returns seconds since the epoch")
    if renderer is not None and not _is_method(getattr(renderer, "render", None)):
        raise TypeError(
            f"{renderer!r} is no renderer: it has no render(refusal) method that is not async"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_method(method: object) -> bool:
    """Whether it can be called, and has then done its work: nobody awaits it."""
    return callable(method) and not iscoroutinefunction(method)


def not_loaded(accept: str | None) -> Answer:
    """Return the answer to every request while there is no policy that could be served."""
    decision = Decision(False, "policy_not_loaded")
    answers = Answers()
    return answers.answer(answers.refusal(decision, id=str(uuid4()), accept=accept))


def _from_environment() -> str:
    """Return the path of the policy file where the code names none."""
    path = os.environ.get("AUTHZ_CONFIG")
    if not path:
        what = "no policy: none is given, and the variable AUTHZ_CONFIG is not set, or empty"
        raise PolicyError([Problem("config=", what, "give a path, or set AUTHZ_CONFIG to one")])
    return path


def _document(config: object) -> Document:
    if config is None:
        return Document.read(_from_environment())
    if isinstance(config, Mapping):
        return Document.from_mapping(cast("Mapping[str, Any]", config))
    if isinstance(config, (str, os.PathLike)):
        return Document.read(cast("str | os.PathLike[str]", config))
    what = f"`config` is of type {type(config).__name__}"
    raise PolicyError([Problem("config=", what, "give a path, a mapping or an Authz")])


def compiled(
    config: str | os.PathLike[str] | Mapping[str, Any] | Authz | None,
    *,
    loaders: Mapping[str, AttributeLoader] | None,
    observers: Sequence[DecisionObserver],
    clock: Clock | None,
    store: object | None,
    renderer: RefusalRenderer | None,
) -> Authz:
    """Return the `Authz` that a middleware's arguments stand for; raises PolicyError."""
    if isinstance(config, Authz):
        if observers or any(given is not None for given in (loaders, clock, store, renderer)):
            raise TypeError(
                "loaders, observers, clock, store and renderer belong to the Authz: give them to"
                " Authz.from_file or Authz.from_mapping"
            )
        return config
    return Authz(
        _document(config),
        loaders=loaders,
        observers=observers,
        clock=clock,
        store=store,
        renderer=renderer,
    )


def unsupported(**arguments: object | None) -> None:
    """Refuse arguments that this version does not build; ignoring them would be a hole."""
    problems = [
        Problem(f"{name}=", f"`{name}` is not supported in this version", "leave it out")
        for name, value in arguments.items()
        if value is not None
    ]
    if problems:
        raise PolicyError(problems)
