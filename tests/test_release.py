"""How a release is made: its workflow, its lists of what is shipped, its changes, and what contributors are told."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT

GITHUB = ROOT / ".github"
pytestmark = pytest.mark.skipif(not GITHUB.is_dir(), reason="the sources are out of the way")

WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def name_of(path):
    return path.name


def read(path):
    """A workflow or form; YAML takes the key `on` for a boolean."""
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in loaded.items()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_has_no_more_rights_than_it_needs(path):
    """Nothing but reading is granted to all jobs; none leaves its credentials in the checkout or holds a secret."""
    text = path.read_text(encoding="utf-8")
    workflow = read(path)

    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert "secrets." not in text
    assert "pull_request_target" not in workflow["on"]
    assert text.count("persist-credentials: false") == text.count("actions/checkout@") > 0
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w./-]+@(v\d+|release/v1|[0-9a-f]{40})", step.get("uses", "some/action@v1"))
            # What an event says is never a part of a script.
            assert "github.event" not in step.get("run", "")


def test_only_two_jobs_may_publish():
    """A token for PyPI is asked for by one job alone, in an environment of its own; another pushes the image."""
    jobs = read(GITHUB / "workflows" / "release.yml")["jobs"]

    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "build": {"contents": "read", "id-token": "write", "attestations": "write"},
        "pypi": {"id-token": "write"},
        "image": {"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"},
        "announce": {"contents": "write"},
    }
    assert jobs["pypi"]["environment"] == {"name": "pypi"}
    assert [step.get("uses", "").split("@")[0] for step in jobs["pypi"]["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]
    runs = [step["run"] for step in jobs["build"]["steps"] if "run" in step]
    assert runs[-2:] == [".ci/run", "make release"]


def test_the_package_and_the_collector_have_one_version():
    """What the release's workflow compares with its tag is the same in both places, and read as it reads it."""
    package = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    collector = re.search(r"^  version: (.*)$", (ROOT / "collector" / "builder-config.yaml").read_text(), re.MULTILINE)

    assert package
    assert collector
    assert package[1] == collector[1]


def test_the_components_are_tested_on_every_system():
    """The workflow of the checks tests each Go module on Linux, macOS and Windows, by `make` or one after the other."""
    include = read(GITHUB / "workflows" / "checks.yml")["jobs"]["collector"]["strategy"]["matrix"]["include"]
    runs = {entry["system"].split("-")[0]: entry["run"] for entry in include}

    assert runs["ubuntu"] == runs["macos"] == "make -C collector lint test build && make demo-collector"
    assert "for module in collector/*/go.mod; do" in runs["windows"]


def test_what_contributors_are_told_to_run_is_there():
    """Each target of make and each file that the pages for contributors name exists."""
    told = (GITHUB / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    of_collector = re.findall(r"^([a-z-]+):", (ROOT / "collector" / "Makefile").read_text(), re.MULTILINE)

    assert set(re.findall(r"(?:^|`)make ([a-z][a-z-]+)", told, re.MULTILINE)) <= set(targets)
    assert set(re.findall(r"make -C collector ([a-z-]+)", told)) <= set(of_collector)
    named = re.findall(r"\b(?:tests|docs|collector|\.ci)/[\w./-]+\w", told)
    assert len(named) > 6
    assert [name for name in named if not (ROOT / name).exists()] == []
    for page in GITHUB.glob("*.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("path", FORMS, ids=name_of)
def test_an_issue_form_is_one(path):
    """Each form has a name, asks something, and has distinct ids."""
    form = read(path)
    asked = [part for part in form["body"] if part["type"] != "markdown"]

    assert form["name"]
    assert form["description"]
    assert len({part["id"] for part in asked}) == len(asked) > 2
    assert all(part["attributes"]["label"] and part["validations"]["required"] for part in asked)


def test_a_new_command_needs_a_question():
    """Whoever proposes a command has to say which question it answers."""
    asked = {part.get("id"): part for part in read(GITHUB / "ISSUE_TEMPLATE" / "new-command.yml")["body"]}

    assert asked["question"]["validations"] == {"required": True}
    assert asked["question"]["attributes"]["label"] == "What question does it answer?"


def test_the_fragments_make_a_page(source_root):
    """Each fragment of a change has a kind that is known, and stands in the page that a release would get."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"]
    fragments = [path for path in (source_root / "docs" / "changelog.d").glob("*.md") if path.name != "README.md"]

    page = subprocess.run(command, cwd=source_root, capture_output=True, text=True, check=True).stdout

    assert {path.name.split(".")[-2] for path in fragments} <= {"added", "changed", "fixed", "removed", "security"}
    told = " ".join(page.split())
    assert [path.name for path in fragments if " ".join(path.read_text().split()) not in told] == []


@pytest.fixture
def shipped(source_root, monkeypatch):
    """The tool that lists what is shipped."""
    monkeypatch.syspath_prepend(str(source_root / "tools"))
    import shipped

    return shipped


@pytest.mark.skipif(sys.platform == "win32", reason="the Collector is not built on Windows")
def test_a_licence_is_known_by_its_words(shipped):
    """Texts are told apart however they are folded, several in one file are all named, and an unknown one is none."""
    three = "Redistribution and use in source and binary\nforms ... Neither the name of X nor the names of its"
    mit = (ROOT / "LICENSE").read_text()

    assert shipped.licence_of_text(mit) == "MIT"
    assert shipped.licence_of_text(three) == "BSD-3-Clause"
    assert shipped.licence_of_text(three.partition("Neither")[0]) == "BSD-2-Clause"
    assert shipped.licence_of_text("Apache License\n   Version 2.0\n" + mit) == "Apache-2.0 AND MIT"
    assert shipped.licence_of_text("All rights reserved.") == ""


@pytest.mark.skipif(sys.platform == "win32", reason="the Collector is not built on Windows")
def test_what_has_no_known_licence_is_named(shipped):
    """Nothing is shipped under a licence that nobody has read: its name and version end the tool."""
    known = shipped.Shipped("good", "1", "MIT")
    shipped.refuse_unknown([known])

    with pytest.raises(SystemExit, match=r"no known licence: odd 2; read it"):
        shipped.refuse_unknown([known, shipped.Shipped("odd", "2", "")])


@pytest.mark.skipif(sys.platform == "win32", reason="the Collector is not built on Windows")
def test_the_list_of_modules_is_cyclonedx(shipped, tmp_path, monkeypatch):
    """The Collector's list has each module with its address, licence and Go's own hash, and passes the schema."""
    monkeypatch.setattr(shipped, "SBOMS", tmp_path)

    shipped.write_go_list([shipped.Shipped("example.org/a/b", "v1.2.3", "MIT", "h1:abc=")])

    (component,) = json.loads((tmp_path / "otelcol-franklinwh.cdx.json").read_text())["components"]
    assert component == {
        "bom-ref": "pkg:golang/example.org/a/b@v1.2.3",
        "licenses": [{"expression": "MIT"}],
        "name": "example.org/a/b",
        "properties": [{"name": "go:h1", "value": "h1:abc="}],
        "purl": "pkg:golang/example.org/a/b@v1.2.3",
        "type": "library",
        "version": "v1.2.3",
    }


def test_the_page_of_licences_names_every_dependency(source_root):
    """What the package asks for is on the page, each with its licence."""
    page = (source_root / "docs" / "licences.md").read_text(encoding="utf-8")
    asked = re.findall(r'^    "([a-z-]+)>=', (source_root / "pyproject.toml").read_text(), re.MULTILINE)

    assert len(asked) > 5
    assert [name for name in asked if not re.search(rf"^\| {name} \| [A-Z]", page, re.MULTILINE)] == []
