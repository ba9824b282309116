"""What the page about Django says is what Django prints, and names all that there is."""

from __future__ import annotations

import io
import re
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test.utils import override_settings

from tests.django.projects import OURS, configure
from tests.django.test_checks import CASES
from tests.docs.pages import ROOT, blocks, prose

PAGE = ROOT / "docs" / "frameworks" / "django.md"


def test_every_check_is_named():
    assert re.findall(r"^\| `(authz\.[EW]\d+)` \|", prose(PAGE), re.MULTILINE) == sorted(CASES)


def test_the_lines_of_django_are_those_of_the_classifiers():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        name[-3:] for name in project["classifiers"] if name.startswith("Framework :: Django :: ")
    ]
    assert lines == ["5.2", "6.0", "6.1"]
    assert "Django 5.2, 6.0 and 6.1," in prose(PAGE)


def test_the_checks_print_what_the_page_shows(folder: Path):
    configure()
    (shown,) = (block for block in blocks(PAGE) if block.language == "text")
    (policy,) = (block for block in blocks(PAGE) if block.language == "toml")
    (folder / "authz.toml").write_text(policy.text.replace('"public"', '"pubic"'))
    with (
        override_settings(
            AUTHZ_CONFIG=folder / "authz.toml",
            INSTALLED_APPS=["authz_middleware.django"],
            MIDDLEWARE=[OURS],
            ROOT_URLCONF="tests.django.urls",
        ),
        pytest.raises(SystemCheckError) as caught,
    ):
        call_command("check", no_color=True, stderr=io.StringIO())
    assert str(caught.value).strip() == shown.text.strip()
