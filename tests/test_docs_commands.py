"""The plain shell lines of README and pages: what can be run here is run, and the rest is looked up word by word."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

import support
from conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SHELL = ("", "sh", "bash")


def lines() -> list[str]:
    """The commands of all plain shell blocks, continued lines in one, comments taken off."""
    blocks = [found for page in PAGES for found in BLOCK.findall(page.read_text(encoding="utf-8"))]
    whole = "".join(text for language, text in blocks if language in SHELL).replace("\\\n", " ").splitlines()
    return sorted({" ".join(line.split(" #")[0].split()) for line in whole if line.strip()})


LINES = lines()
OURS = [line for line in LINES if line.startswith(("franklinwh-telemetry ", "opentelemetry-instrument "))]
MAKE = [line for line in LINES if line.startswith("make ")]
COMPOSE = [line for line in LINES if "docker compose" in line]
PIP = [line for line in LINES if line.startswith("pip install ")]
VARIABLES = [line for line in LINES if re.match(r"export \w+=|read -rs \w+ && export ", line)]


def test_every_line_is_of_a_kind_that_is_tried():
    """No page has a command that the tests below do not know."""
    assert len(LINES) > 20
    assert sorted([*OURS, *MAKE, *COMPOSE, *PIP, *VARIABLES]) == LINES


@support.posix_only
@pytest.mark.parametrize("line", OURS)
def test_a_command_of_ours_is_one(line):
    """Run in an empty home it may find nothing and nobody to ask, but it is understood, and none breaks."""
    Path("collector", "vocabularies").mkdir(parents=True)
    programs = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])

    ended = support.run(["sh", "-c", line], env={**os.environ, "PATH": programs})

    assert ended.returncode in (0, 1), ended
    assert "Traceback" not in ended.stderr
    assert "Usage" not in ended.stderr


@pytest.mark.parametrize("line", MAKE)
def test_a_target_is_in_the_makefile(line, source_root):
    """Each target and each variable that is set with it stands in the Makefile, with its help."""
    makefile = (source_root / "Makefile").read_text(encoding="utf-8")
    _make, target, *variables = line.split()

    assert re.search(rf"^{target}: .*## ", makefile, re.MULTILINE)
    assert [each for each in variables if "=" in each and f"$({each.partition('=')[0]})" not in makefile] == []


@pytest.mark.parametrize("line", COMPOSE)
def test_a_deployment_sets_what_there_is_to_set(line, source_root):
    """Each variable and each profile of such a line is one that docker-compose.yml has."""
    compose = (source_root / "docker-compose.yml").read_text(encoding="utf-8")
    named = [*re.findall(r"^(?:(\w+)=\S+ )", line), *re.findall(r" (\w+)=\S+ ", line)]
    profiles = re.findall(r"--profile (\w+)", line)

    assert [name for name in named if name not in compose] == []
    assert [profile for profile in profiles if f"profiles: [{profile}]" not in compose] == []


@pytest.mark.parametrize("line", PIP)
def test_what_is_installed_is_this_package(line, source_root):
    """Each line names this folder or this package, and an extra only if it has it."""
    project = (source_root / "pyproject.toml").read_text(encoding="utf-8")
    what = line.split()[-1].strip('"')
    extras = re.findall(r"\[(\w+)\]", what)

    assert what == "." or what.partition("[")[0] == "franklinwh-telemetry"
    assert [extra for extra in extras if not re.search(rf"^{extra} = \[", project, re.MULTILINE)] == []


@pytest.mark.parametrize("line", VARIABLES)
def test_a_variable_is_one_that_is_read(line, source_root):
    """What a page has its reader set is read by the code of the maintainers' commands."""
    code = "".join(path.read_text("utf-8") for path in (source_root / "src").rglob("maintainer/*.py"))
    (name,) = set(re.findall(r"[A-Z][A-Z_]+", line.partition("=")[0]))

    assert f'"{name}"' in code
