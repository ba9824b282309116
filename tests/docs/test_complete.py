"""The pages name everything that a user can meet, and nothing that is not there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

import authz_middleware
from authz_middleware import (
    Access,
    Actor,
    Answer,
    Decision,
    DecisionEvent,
    Principal,
    Problem,
    RuleRef,
    analysis,
    testing,
)
from authz_middleware.answers import ANSWERS
from authz_middleware.authzen import asking, decision_point, endpoints
from authz_middleware.facts import Reason
from authz_middleware.policy import cases, forbid_table, load_key, needs, questions, requirements
from authz_middleware.policy.canonical import readings
from authz_middleware.runtime import (
    cache,
    decision_points,
    drivers,
    introspection,
    settings,
    workers,
)
from authz_middleware.tokens import (
    claim_paths,
    freshness,
    introspection_table,
    issuers,
    presets,
    signature,
)
from tests.docs.pages import ROOT, blocks, headings, page_ids, pages, prose

DOCS = ROOT / "docs"
POLICY = (DOCS / "policy.md").read_text()


def cells(text: str) -> list[list[str]]:
    """The cells of every row of every table in a page."""
    rows = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\) \| ", row)] for row in rows]


def first_cells(section: str) -> set[str]:
    """Every name in the first column of a section of policy.md."""
    start = POLICY.index(f"\n## {section}\n")
    rest = POLICY[start + 4 :]
    end = rest.find("\n## ")
    rows = cells(rest[:end] if end != -1 else rest)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}


@pytest.mark.parametrize(
    ("section", "known", "planned"),
    [
        ("Top level", settings.KNOWN, settings.PLANNED),
        ("Issuers", issuers._KNOWN, issuers._PLANNED),
        ("Requirements", requirements.REQUIREMENT_KEYS, requirements.REQUIREMENT_PLANNED),
        ("Forbid", forbid_table.FORBID_KEYS, ()),
    ],
)
def test_policy_page_lists_every_key(
    section: str, known: tuple[str, ...], planned: tuple[str, ...]
):
    assert first_cells(section) >= {*known}
    # Among what is not supported, each with the table it would stand in.
    refused = {
        name
        for row in cells(POLICY[POLICY.index("\n## Not supported in this version\n") :])
        if row[0] == section
        for name in re.findall(r"`([^`]+)`", row[1])
    }
    assert refused - {"insecure_*"} == {*planned}


def test_policy_page_lists_every_key_of_introspection():
    assert first_cells("Issuers") >= {*introspection_table.INTROSPECTION_KEYS}


def test_tokens_page_has_the_figures_of_introspection_and_of_the_cache():
    text = " ".join(prose(DOCS / "tokens.md").split())
    seconds = (introspection_table.DEFAULT_CACHE, introspection_table.MAX_CACHE)
    assert "({:.0f}, at most {:.0f})".format(*seconds) in text
    assert f"A refusal for {introspection.REFUSED_FOR:.0f} seconds" in text
    assert f"at most {introspection.MAX_TAKEN} of them are taken at a time" in text
    assert f"of which {introspection.MAX_ASKING} are in the air" in text
    assert f"at most {introspection.MAX_REFUSALS} for each issuer" in text
    assert f"{introspection.MAX_ANSWER // 1024} KiB" in text
    assert f"{cache.MAX_ENTRIES:,} tokens and {cache.MAX_BYTES // 1024 // 1024} MiB" in text
    assert f"more than {cache.MAX_BYTES // 64 // 1024} KiB" in text


def test_tokens_page_names_every_detail_of_a_failed_introspection():
    text = prose(DOCS / "tokens.md")
    source = Path(introspection.__file__).read_text() + Path(drivers.__file__).read_text()
    details = set(re.findall(r'unavailable="([^"]+)"', source))
    assert len(details) == 6
    assert [detail for detail in sorted(details) if f"| `{detail}` |" not in text] == []


def test_pages_have_the_figures_of_loaders():
    assert first_cells("Requirements") >= {*load_key.LOAD_KEYS}
    assert f"| `timeout` | number | {needs.DEFAULT_TIMEOUT:g} |" in POLICY
    assert f"more than 0 and at most {load_key.MAX_TIMEOUT:g}" in POLICY
    text = " ".join(prose(DOCS / "access.md").split())
    assert f"at most {workers.MAX_THREADS} run at a time" in text
    assert f"at most {workers.MAX_TAKEN} run or wait" in text


def test_pages_have_the_figures_of_decision_points():
    point = decision_point
    assert first_cells("Requirements") >= {*point.PDP_KEYS}
    policy = " ".join(POLICY.split())
    assert f"| `timeout` | number | {point.DEFAULT_TIMEOUT:g} |" in policy
    assert f"more than 0 and at most {point.MAX_TIMEOUT:g}" in policy
    failures, pause = point.BREAKER_KEYS
    assert (
        f"`{failures}` in a row ({point.DEFAULT_FAILURES}, at most {point.MAX_FAILURES})" in policy
    )
    more = f"({point.DEFAULT_PAUSE:g}, more than 0 and at most {point.MAX_PAUSE:g})"
    assert f"`{pause}` seconds {more}" in policy
    for path in (endpoints.EVALUATION, endpoints.EVALUATIONS):
        assert f"| `{path}` below `url` |" in policy
    text = " ".join((DOCS / "authzen.md").read_text().split())
    assert f"larger than {asking.MAX_ANSWER // 1024} KiB" in text
    assert f"{workers.MAX_THREADS} and {workers.MAX_TAKEN}" in text
    assert "429, 502, 503 or 504" in text
    assert {429, 502, 503, 504} == asking._GENERAL


def test_authzen_page_names_every_detail_of_a_decision_that_failed():
    text = (DOCS / "authzen.md").read_text()
    source = Path(asking.__file__).read_text() + Path(decision_points.__file__).read_text()
    details = set(re.findall(r'(?:NoDecision\(|why=|TimedOut\) else )"([a-z_]+)"', source))
    details |= {asking.FAILED.why, questions.NOT_PUT.why, cases.UNAVAILABLE}
    details -= {"left"}  # who asked is gone, so nobody is told
    assert len(details) == 11
    assert [detail for detail in sorted(details) if f"| `{detail}` |" not in text] == []


def test_policy_page_lists_every_place_of_a_claim():
    assert first_cells("Claim paths") >= {*claim_paths.ClaimPaths.__dataclass_fields__}


def test_not_supported_page_names_every_planned_key():
    text = (DOCS / "not-supported.md").read_text()
    planned = {
        *settings.PLANNED,
        *issuers._PLANNED,
        *requirements.REQUIREMENT_PLANNED,
        "insecure_*",
    }
    assert [name for name in sorted(planned) if f"`{name}`" not in text] == []


def test_answers_page_has_every_reason_with_its_answer():
    rows = {row[0]: row for row in cells((DOCS / "answers.md").read_text()) if len(row) == 5}
    assert {f"`{reason}`" for reason in get_args(Reason)} <= rows.keys()
    for reason, kind in ANSWERS.items():
        _, status, error, challenge, _ = rows[f"`{reason}`"]
        assert status == str(kind.status), reason
        assert error == (f"`{kind.error}`" if kind.error else "-"), reason
        assert challenge == ("yes" if kind.challenged else "no"), reason


def test_tokens_page_has_the_figures_of_freshness():
    text = prose(DOCS / "tokens.md")
    for seconds in (freshness.REFRESH_AFTER, freshness.COOLDOWN, freshness.RETRY_AFTER):
        assert f"{seconds:.0f} seconds" in text
    assert f"{freshness.STALE_LIMIT / 3600:.0f} hours" in text


def test_tokens_page_names_every_algorithm():
    text = prose(DOCS / "tokens.md")
    assert [name for name in signature.ALGORITHMS if f"`{name}`" not in text] == []


def test_tokens_page_names_every_detail_of_a_rejection():
    """What the log says of a token that was refused can be looked up."""
    text = prose(DOCS / "tokens.md")
    source = Path(issuers.__file__).parent
    details = {
        detail.partition(":")[0]  # what follows is the name of a claim or of a header member
        for module in source.glob("*.py")
        for detail in re.findall(r'Rejected\(f?"([^"]+)"\)', module.read_text())
    }
    assert len(details) > 20
    details.discard("{state}_claim")  # missing_claim or bad_claim
    missing = [detail for detail in sorted(details) if f"`{detail}" not in text]
    assert missing == []


@pytest.mark.parametrize(
    "name",
    [
        *authz_middleware.__all__,
        *(f"testing.{name}" for name in testing.__all__),
        *(f"analysis.{name}" for name in analysis.__all__),
    ],
)
def test_every_public_name_is_documented(name: str):
    short = name.rpartition(".")[2]
    text = "\n".join(page.read_text() for page in pages())
    # With its package in front, or alone; not as the attribute of something else.
    assert re.search(rf"(?:authz_middleware\.|(?<![\w.])){re.escape(short)}\b", text), name


FOR_ADAPTERS = ("denied", "overruled")


@pytest.mark.parametrize(
    ("page", "named"),
    [
        ("access.md", [*Principal.__dataclass_fields__, *Actor.__dataclass_fields__]),
        (
            "access.md",
            [name for name in Access.__slots__ if name[0] != "_" and name not in FOR_ADAPTERS],
        ),
        ("access.md", [*Answer.__dataclass_fields__]),
        ("answers.md", [*Decision.__dataclass_fields__, *RuleRef.__dataclass_fields__]),
        ("answers.md", [*DecisionEvent.__dataclass_fields__]),
        ("policy.md", [*Problem.__dataclass_fields__]),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[:2]),
)
def test_every_public_attribute_is_documented(page: str, named: list[str]):
    text = prose(DOCS / page)
    assert [name for name in named if f"`{name}`" not in text] == []


def test_paths_page_has_the_readings_of_a_root_path():
    rows = [row for row in cells((DOCS / "paths.md").read_text()) if row[0] in ("none", "`/svc`")]
    assert len(rows) == 5
    for root, path, found in rows:
        names = re.findall(r"`([^`]+)`", found)
        assert readings(path.strip("`"), root.strip("`").replace("none", "")) == tuple(names)


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", pages(), ids=page_ids())
def test_links_lead_somewhere(page: Path):
    for target in LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{page}: {target}"
        assert path.is_relative_to(ROOT), f"{page}: {target} leaves the project"
        if anchor:
            assert anchor in headings(path), f"{page}: {target}"
        if page.is_relative_to(DOCS):
            assert path.is_relative_to(DOCS), f"{page}: {target} is not on the site"


def test_every_page_is_reached_from_the_first():
    index = (DOCS / "index.md").read_text()
    for page in DOCS.glob("*.md"):
        assert page.name == "index.md" or f"({page.name}" in index, page.name
    for folder in ("decisions", "frameworks", "providers"):
        assert f"({folder}/index.md)" in index
        listed = (DOCS / folder / "index.md").read_text()
        for page in (DOCS / folder).glob("*.md"):
            assert page.name == "index.md" or f"({page.name})" in listed, page.name


def test_the_table_of_presets_is_what_they_do():
    rows = {row[0]: row for row in cells((DOCS / "providers" / "index.md").read_text())}
    for name, preset in presets.PRESETS.items():
        _, roles, scopes, permissions, _, tenants = rows[f"[`{name}`]({name}.md)"]
        assert re.findall(r"`([^`]+)`", roles)[: len(preset.claims.roles)] == [
            ".".join(path) for path in preset.claims.roles
        ]
        assert re.findall(r"`([^`]+)`", scopes) == [".".join(p) for p in preset.claims.scopes]
        assert (permissions != "none") == bool(preset.claims.permissions)
        assert tenants.startswith(f"`{preset.tenants.claim}`" if preset.tenants else "none")


# Planned keys whose names say something else too: a known key elsewhere, a converter, a word.
COMMON = {"permissions", "any", "all", "not", "load", "state", "strict", "mode", "hosts", "max_age"}
REFUSED = re.compile(r"not (?:yet )?(?:supported|built)|does not build|refused at load")


@pytest.mark.parametrize("page", pages(), ids=page_ids())
def test_no_page_offers_a_key_that_is_refused(page: Path):
    planned = {*settings.PLANNED, *issuers._PLANNED, *requirements.REQUIREMENT_PLANNED} - COMMON
    for section in re.split(r"^(?=#)", prose(page), flags=re.MULTILINE):
        named = {name for name in planned if f"`{name}`" in section}
        assert not named or REFUSED.search(section), f"{page}: {section[:60]!r} {named}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md"])
def test_the_layers_are_those_that_are_held(page: str) -> None:
    """A line may say more of a layer behind two spaces, and go on where it is indented."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [each["layers"] for each in contracts["contracts"] if each["id"] == "layers"]
    block = next(each for each in blocks(ROOT / page) if each.text.startswith("cli"))
    named = [line.split("  ")[0].strip() for line in block.text.splitlines()]
    assert [name for name in named if name] == layers
