"""Every mistake that the loaders can report has a place and a remedy, in every format.

The mistakes are those of the tables of each reader's own tests; here each is written as TOML, JSON
and YAML and loaded whole. A reader cannot report without a remedy: `fix` is a required argument.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.runtime import settings
from tests.authzen import test_decision_point
from tests.policy import test_load
from tests.policy.conditions import test_mistakes as test_conditions
from tests.runtime import test_settings
from tests.tokens import test_introspection_table, test_issuers, test_presets

REMEDY = re.compile(
    r"\b(add|allow|ask|call|check|close|did you mean|end|give|install|join|keep|known|leave|list"
    r"|make|name|open|put|read|remove|run|save|set|start|take|use|write|written|it looks like"
    r"|its keys)\b"
)


def documents() -> dict[str, dict[str, Any]]:
    """One document for each mistake, by a name for it."""
    found: dict[str, dict[str, Any]] = {}
    for name, row in test_load.REFUSED.items():
        text = row[0] if "[[issuers]]" in row[0] else row[0] + test_load.ISSUER
        found[f"policy, {name}"] = tomllib.loads(text)
    for name, row in test_decision_point.REFUSED.items():
        text = test_decision_point.HEAD + row[0]
        found[f"decision point, {name}"] = tomllib.loads(text)
    for name, (keys, _) in test_issuers.REFUSED.items():
        found[f"issuer, {name}"] = {"issuers": [without(test_issuers.BASE | keys)]}
    for name, (keys, _) in test_introspection_table.REFUSED.items():
        found[f"introspection, {name}"] = {"issuers": [test_introspection_table.table(**keys)]}
    for name, (beside, _) in test_introspection_table.BESIDE.items():
        table = test_introspection_table.table(beside=beside)
        found[f"beside introspection, {name}"] = {"issuers": [table]}
    for name, preset in test_presets.MISTAKES.items():
        found[f"preset, {name}"] = {"issuers": [preset[0]]}
    issuer = without(test_issuers.BASE)
    for resource in ("orders", "https://x/?a", "https://x/"):
        found[f"resource {resource}"] = {"resource": resource, "issuers": [issuer]}
    for name, value, _ in test_settings.CHOICES:
        found[f"{name} {value}"] = {name: value, "issuers": [issuer]}
    for name in test_settings.TEXTS:
        found[f"{name} is a number"] = {name: 1, "issuers": [issuer]}
        found[f"{name} is empty"] = {name: "", "issuers": [issuer]}
    found["a realm with a quote"] = {"realm": 'a"b', "issuers": [issuer]}
    found["a problem base with a space"] = {"problem_base": "a b", "issuers": [issuer]}
    found["strict is a text"] = {"strict": "yes", "issuers": [issuer]}
    found["no issuers"] = {"routes": {"/": "deny"}}
    found["issuers of numbers"] = {"issuers": [1]}
    found["two issuers without grants"] = {"issuers": [issuer, issuer | {"issuer": "https://b"}]}
    found["one issuer twice"] = {"issuers": [issuer | {"grants": ["*"]}] * 2}
    found["subjects of two issuers"] = {
        "remote_user": "sub",
        "issuers": [issuer | {"grants": ["*"], "issuer": f"https://{each}"} for each in "ab"],
    }
    found["a bar in an issuer"] = {
        "remote_user": "iss|sub",
        "issuers": [issuer | {"issuer": "a|b", "jwks": test_issuers.JWKS}],
    }
    for file in ("none/k.json", "", "."):
        found[f"last good keys in {file!r}"] = {
            "issuers": [issuer | {"jwks_cache": {"file": file}}]
        }
    for cache in ({"max_age": 1}, {"stale_limit": 1}, {"age": 1}, {"max_age": "1"}):
        found[f"jwks_cache {cache}"] = {"issuers": [issuer | {"jwks_cache": cache}]}
    return {name: each for name, each in found.items() if "date" not in name}  # not of JSON


def conditions() -> dict[str, dict[str, Any]]:
    """One document for each mistake in a condition."""
    path = "/<tenant>/<int:id>/<float:price>/<uuid:ref>"
    issuer = without(test_issuers.BASE)
    return {
        f"condition {text!r}": {"routes": {path: {"when": text}}, "issuers": [issuer]}
        for text, _ in test_conditions.TABLE
        if text and not re.search("[\ud800-\udfff]", text)  # no file can hold half a pair
    }


def without(table: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value is not ...}


def toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def written(document: dict[str, Any], suffix: str) -> str:
    if suffix == ".toml":
        return "".join(f"{json.dumps(k)} = {toml(v)}\n" for k, v in document.items())
    return json.dumps(document)  # which is YAML too


DOCUMENTS = documents()
CONDITIONS = conditions()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files and variables that the tables of mistakes speak of."""
    monkeypatch.chdir(tmp_path)
    files = test_introspection_table.FILES | test_issuers.FILES | test_decision_point.FILES
    for name, data in files.items():
        Path(name).write_bytes(data)
    for name, value in (test_introspection_table.ENVIRON | test_issuers.ENVIRON).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PDP_TOKEN", "s3cr3t")
    return tmp_path


@pytest.mark.parametrize("suffix", [".toml", ".json", ".yaml"])
@pytest.mark.parametrize("name", [*DOCUMENTS, *CONDITIONS])
def test_a_mistake_has_a_place_and_a_remedy(here: Path, name: str, suffix: str) -> None:
    Path(f"authz{suffix}").write_text(written((DOCUMENTS | CONDITIONS)[name], suffix), "utf-8")
    with pytest.raises(PolicyError) as refused:
        settings.load(Document.read(f"authz{suffix}"))
    for problem in refused.value.problems:
        assert re.fullmatch(rf"authz\{suffix}:[0-9]+:[0-9]+", problem.where), problem
        assert REMEDY.search(problem.fix), problem


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".toml", "a = \n"),
        (".toml", "a = 1\na = 2"),
        (".toml", f"a = {'9' * 5000}"),
        (".toml", f"a = {'[' * 5000}{']' * 5000}"),
        (".toml", f"a = {'[' * 70}{']' * 70}"),
        (".toml", "a = nan"),
        (".toml", 'a = "${}"'),
        (".toml", 'a = "${UNSET_}"'),
        (".json", "{"),
        (".json", "[]"),
        (".json", '{"a": 1, "a": 2}'),
        (".json", '{"a": null}'),
        (".json", f'{{"a": {"[" * 5000}{"]" * 5000}}}'),
        (".json", '{"$schema": 1}'),
        (".json", '{"a": "\\ud800"}'),
        (".json", "\ufeff{}"),
        (".yaml", "a: ["),
        (".yaml", "a: *b"),
        (".yaml", "a: &b c"),
        (".yaml", "<<: {}"),
        (".yaml", "a: no"),
        (".yaml", "a: 2001-99-99"),
        (".yaml", "? [a]\n: b"),
        (".yaml", "a: ~"),
        (".yaml", "a: 1\n---\nb: 2"),
        (".yaml", "- a"),
        (".yaml", f"a: {'[' * 70}{']' * 70}"),
        (".yaml", "a: \x01"),
    ],
)
def test_a_mistake_of_the_text_has_a_place_and_a_remedy(here: Path, suffix: str, text: str) -> None:
    Path(f"authz{suffix}").write_text(text, "utf-8")
    with pytest.raises(PolicyError) as refused:
        settings.load(Document.read(f"authz{suffix}"))
    for problem in refused.value.problems:
        assert re.fullmatch(rf"authz\{suffix}:[0-9]+:[0-9]+", problem.where), problem
        assert REMEDY.search(problem.fix), problem
