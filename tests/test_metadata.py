"""What the installed distribution says of itself; under tox it is the built wheel."""

from __future__ import annotations

import configparser
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import authz_middleware

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
META = distribution("authz-middleware").metadata


def test_the_version_is_said_once():
    assert META["Version"] == authz_middleware.__version__


def test_it_is_typed_for_those_who_import_it():
    assert (Path(authz_middleware.__file__).parent / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_every_python_that_is_claimed_is_tested():
    claimed = {
        f"py{each.rpartition(' ')[2].replace('.', '')}"
        for each in PROJECT["classifiers"]
        if each.startswith("Programming Language :: Python :: 3.")
    }
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    listed = [each.strip() for each in tox["tox"]["env_list"].split(",")]
    assert claimed == {each for each in listed if each.startswith("py") and each[2:].isdigit()}
    assert PROJECT["requires-python"] == ">=3.11"


def test_extras_are_those_of_the_project():
    assert set(META.get_all("Provides-Extra") or ()) == set(PROJECT["optional-dependencies"])
