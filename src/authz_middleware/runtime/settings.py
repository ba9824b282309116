"""From a policy document to the compiled parts: what stands where, and what fits together."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from errno import EFBIG, EINVAL
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, cast
from urllib.parse import unquote, urlsplit

from authz_middleware.answers import Answers, metadata
from authz_middleware.authzen import decision_point
from authz_middleware.authzen.decision_point import DecisionPoint
from authz_middleware.document import Document, Report, Section
from authz_middleware.errors import PolicyError, Problem
from authz_middleware.facts import Answer, ContextReads, RuleRef
from authz_middleware.policy import cases
from authz_middleware.policy import load as policies
from authz_middleware.policy.cases import Case
from authz_middleware.policy.model import Policy
from authz_middleware.policy.names import check_roles
from authz_middleware.policy.questions import Elsewhere
from authz_middleware.policy.shadows import has_shadows
from authz_middleware.tokens import issuers as issuer_tables
from authz_middleware.tokens import tenants
from authz_middleware.tokens.issuers import Issuer, secure_url
from authz_middleware.tokens.key_sources import ReadFile
from authz_middleware.tokens.presets import TEMPLATE

__all__ = ["Settings", "check_cases", "load", "obtainable"]

KNOWN = (
    "default",
    "realm",
    "resource",
    "preflight",
    "remote_user",
    "problem_base",
    "strict",
    "unmatched",
    "trusted_proxies",
    "hosts",
    "include",
    "insecure_development_keys",
    "issuers",
    "roles",
    "permissions",
    "routes",
    "forbid",
    "pdp",
    "tests",
    "candidate",
)
PLANNED = (
    "close_at_expiry",
    "ws_token",
    "state",
)

WELL_KNOWN = "/.well-known/oauth-protected-resource"  # RFC 9728 §3

MAX_KEY_FILE = 1024 * 1024
"""Bytes of a key file; as much as of a key set that is fetched."""

RemoteUser = Literal["sub", "iss|sub"]
Word = TypeVar("Word", bound=str)


class Candidate(NamedTuple):
    """A whole policy on trial, and the file that it is from, as the policy names it."""

    name: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a policy document says, checked."""

    policy: Policy
    issuers: Mapping[str, Issuer]
    answers: Answers
    cases: tuple[Case, ...]
    preflight: RuleRef | None  # set if true preflights pass
    remote_user: RemoteUser | None
    metadata_path: str | None
    metadata: Answer | None
    strict: bool  # whether a gap between policy and app is a mistake
    unmatched: bool  # whether the app answers where neither it nor the policy knows the path
    directory: Path  # where relative files are
    context_reads: ContextReads | None  # what all conditions read, those on trial included
    shadow: Policy | None  # the policy with what is on trial in it enforced, if anything is
    candidate: Candidate | None
    pdps: Mapping[str, DecisionPoint]


def load(document: Document, *, loaders: Collection[str] | None = None) -> Settings:
    """Compile `document`; raises PolicyError with every mistake that was found.

    `loaders` are the names of those that are registered; None where nobody will ask them. A mistake
    in what is on trial is one of the policy.
    """
    report = Report(document)
    root = Section.top(report)
    insecure = [name for name in root.mapping if name.startswith("insecure_")]
    # `include` has been read already.
    root.only(KNOWN, (*PLANNED, *(name for name in insecure if name not in KNOWN)))
    sections = root.tables("issuers")
    issuers = _issuers(root, sections, document)
    # Also those with a mistake: that a route names one of them is not a second mistake.
    names = [name for section in sections for name in tenants.names(section)]
    complete = len(issuers) == sum(len(tenants.names(section)) or 1 for section in sections)
    pdps = decision_point.read(root, read_file=_reader(document), environ=os.environ)
    policies_with = partial(
        policies.load,
        root,
        issuers=names,
        token_permissions=not complete or any(issuer.claims.permissions for issuer in issuers),
        obtainable=obtainable(issuers) if complete and issuers else None,
        leeways={issuer.issuer: issuer.leeway for issuer in issuers},
        loaders=loaders,
        pdps={name: Elsewhere(point.evaluation, point.denies) for name, point in pdps.items()},
    )
    policy = policies_with(trial=False)
    shadow = policies_with(trial=True) if has_shadows(root) else None
    _check_roles(sections, policy)
    _check_key_files(sections, document.directory)
    resource = _resource(root)
    metadata_url = _metadata_url(resource) if resource else None
    tests = cases.load(root, issuers=names, roles=policy.roles.declared, pdps=pdps)
    check_cases(root, tests, issuers)
    settings = Settings(
        policy=policy,
        issuers={issuer.issuer: issuer for issuer in issuers},
        answers=Answers(_realm(root), metadata_url, _problem_base(root)),
        cases=tests,
        preflight=_preflight(root),
        remote_user=_remote_user(root, names),
        # Servers decode the path of a request.
        metadata_path=unquote(urlsplit(metadata_url).path) if metadata_url else None,
        metadata=metadata(resource, _published(issuers), policy.scopes) if resource else None,
        strict=root.flag("strict"),
        unmatched=_choice(root, "unmatched", ("app",)) is not None,
        directory=document.directory,
        context_reads=_united(policy.context_reads, shadow.context_reads if shadow else None),
        shadow=shadow,
        candidate=None,
        pdps=pdps,
    )
    candidate, problems = _candidate(root, loaders)
    if found := (*report.problems, *problems):
        raise PolicyError(found)
    if candidate is None:
        return settings
    reads = _united(settings.context_reads, candidate.settings.context_reads)
    return replace(settings, candidate=candidate, context_reads=reads)


def _united(one: ContextReads | None, other: ContextReads | None) -> ContextReads | None:
    return one | other if one and other else one or other


def _candidate(
    root: Section, loaders: Collection[str] | None
) -> tuple[Candidate | None, Sequence[Problem]]:
    """Compile the policy that is on trial; a mistake in it is one of this policy too."""
    name = root.text("candidate", example="next.toml")
    if name is None:
        return None, ()
    document = root.document
    try:
        candidate = Document.read(document.directory / name, document.files)
        if "candidate" in candidate.root:
            what = "a policy on trial has no `candidate` of its own"
            raise PolicyError([Problem(candidate.where(("candidate",)), what, "leave it out")])
        return Candidate(name, load(candidate, loaders=loaders)), ()
    except PolicyError as error:
        return None, error.problems


def _issuers(root: Section, sections: Sequence[Section], document: Document) -> tuple[Issuer, ...]:
    if root.raw("issuers") in (None, []):
        root.error(
            "issuers",
            "no [[issuers]]: no token could ever be verified",
            'write [[issuers]] with `issuer = "https://…"` and `audience = ["…"]`',
        )

    return issuer_tables.load(
        sections,
        read_file=_reader(document),
        environ=os.environ,
        development_keys=root.flag("insecure_development_keys"),
    )


def _reader(document: Document) -> ReadFile:
    """Return what reads the files of secrets and keys that the document names."""

    def read_file(name: str) -> bytes:
        file = document.directory / name
        document.files.note(file)
        if file.exists() and not file.is_file():
            raise OSError(EINVAL, "not a regular file")
        with file.open("rb") as opened:
            data = opened.read(MAX_KEY_FILE + 1)
        if len(data) > MAX_KEY_FILE:
            raise OSError(EFBIG, f"larger than {MAX_KEY_FILE} bytes")
        return data

    return read_file


def _published(issuers: Iterable[Issuer]) -> tuple[str, ...]:
    """The authorization servers to name in public. Which tenants a service has is nobody's."""
    return tuple(issuer.issuer for issuer in issuers if not issuer.from_template)


def _check_roles(sections: Sequence[Section], policy: Policy) -> None:
    """Report roles that an issuer maps to or grants but [roles] does not define."""
    declared = policy.roles.declared
    if declared is None:
        return
    for section in sections:
        report = section.report
        # As they stand in the document: what is of a wrong type is reported by its reader.
        mapped, granted = section.raw("role_map"), section.raw("grants")
        if isinstance(mapped, Mapping) and (table := section.table("role_map")):
            for name in table:
                check_roles(report, (*table.path, name), _names([table.raw(name)]), declared)
        if isinstance(granted, list):
            named = _names(cast("Sequence[object]", granted))
            own = [name for name in named if name != "*"]
            check_roles(report, (*section.path, "grants"), own, declared)


def _check_key_files(sections: Sequence[Section], directory: Path) -> None:
    """Report files for last good keys that could not be written, or would be written by two."""
    seen: set[Path] = set()
    for section in sections:
        table = section.table("jwks_cache") if isinstance(section.raw("jwks_cache"), dict) else None
        name = table.raw("file") if table else None
        if table is None or not isinstance(name, str) or not name or "\0" in name:
            continue
        file = directory / table.beside(name)
        if not file.parent.is_dir():
            table.error("file", f"there is no directory {file.parent}", "make it")
        elif file.is_dir():
            table.error("file", "`file` is a directory", "name a file in it")
        elif TEMPLATE not in name and len(tenants.names(section)) > 1:
            table.error("file", "one file for several tenants", f"write {TEMPLATE} in its name")
        elif file.resolve() in seen:
            table.error("file", "another issuer has this file", "give each issuer its own")
        seen.add(file.resolve())


def _names(values: Sequence[object]) -> list[str]:
    return [value for value in values if isinstance(value, str) and value]


def obtainable(issuers: Iterable[Issuer]) -> frozenset[str] | None:
    """Return the roles that these issuers may give, without what they inherit; None: any."""
    names: set[str] = set()
    for issuer in issuers:
        given = issuer.grants
        if issuer.role_map is not None:
            mapped = frozenset(issuer.role_map.values())
            given = mapped if given is None else given & mapped
        if not issuer.claims.roles:
            given = frozenset[str]()
        if given is None:
            return None
        names |= given
    return frozenset(names)


def check_cases(root: Section, tests: Sequence[Case], issuers: Iterable[Issuer]) -> None:
    """Report callers of [[tests]] with a role that no token of their issuer can bring."""
    by_name = {issuer.issuer: issuer for issuer in issuers}
    for index, case in enumerate(tests):
        if case.principal is None or case.principal.issuer not in by_name:
            continue
        given = obtainable([by_name[case.principal.issuer]])
        if given is not None and (never := case.principal.roles - given):
            root.report.error(
                ("tests", index, "as", "roles"),
                f"no token of {case.principal.issuer} can bring role `{min(never)}`",
                "name a role that its `claims`, `role_map` and `grants` give",
            )


def _remote_user(root: Section, issuers: Sequence[str]) -> RemoteUser | None:
    chosen = cast("RemoteUser | None", _choice(root, "remote_user", ("sub", "iss|sub")))
    # RFC 8725 §3.8: one subject of two issuers is two callers.
    if chosen == "sub" and len(issuers) > 1:
        root.error("remote_user", "subjects of several issuers may be equal", 'write "iss|sub"')
    if chosen == "iss|sub" and any("|" in issuer for issuer in issuers):
        what = "an issuer holds `|`, so its callers' names could be another's"
        root.error("remote_user", what, "leave it out: read `access.principal` instead")
    return chosen


def _preflight(root: Section) -> RuleRef | None:
    passes = _choice(root, "preflight", ("pass",))
    return RuleRef("preflight", root.where("preflight")) if passes else None


def _realm(root: Section) -> str:
    realm = root.text("realm", "api")
    # RFC 6750 §3 and RFC 9110 §5.6.4: what needs no escape in a quoted-string.
    if not realm.isascii() or not realm.isprintable() or '"' in realm or "\\" in realm:
        root.error(
            "realm",
            "`realm` is sent in a header",
            "write printable ASCII without quotes and backslashes",
        )
    return realm


def _resource(root: Section) -> str | None:
    resource = root.text("resource")
    if resource is None:
        return None
    fix = 'write the URL clients know, as in `resource = "https://api.example.com"`'
    if not secure_url(resource) or '"' in resource:
        what = "`resource` is an https URL without fragment (RFC 9728 §1.2)"
    elif "?" in resource:
        what = "a query in `resource` is not supported"
    elif resource.endswith("/"):
        what, fix = "`resource` ends in a slash", f'write "{resource.rstrip("/")}"'
    else:
        return resource
    root.error("resource", what, fix)
    return None


def _metadata_url(resource: str) -> str:
    """RFC 9728 §3.1: the well-known part stands between host and path."""
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def _problem_base(root: Section) -> str | None:
    base = root.text("problem_base")
    if base is not None and not (base.isascii() and base.isprintable() and " " not in base):
        what = "`problem_base` is the start of a URI (RFC 9457 §3.1.1)"
        root.error("problem_base", what, "write printable ASCII without spaces")
    return base


def _choice(root: Section, name: str, words: tuple[Word, ...]) -> Word | None:
    value = root.text(name)
    for word in words:
        if value == word:
            return word
    if value is not None:
        known = " or ".join(f'"{word}"' for word in words)
        root.error(name, f'`{name}` cannot be "{value}"', f"write {known}, or leave it out")
    return None
