from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

import support
from conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = ROOT / "docs" / "examples" / "testing"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def as_pytest(*arguments):
    """The command that runs pytest as a stranger to this project does, in the working directory."""
    return [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        "--rootdir",
        ".",
        "-p",
        "no:cacheprovider",
        *arguments,
    ]


def program_of(page):
    """The Python blocks of a page, one after the other."""
    return "\n\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))


def page_name(page):
    return page.name


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=page_name)
def test_every_python_block_runs(page):
    """The blocks of a page are one program, which runs without a word; its tests pass, each of them."""
    program = program_of(page)
    Path("test_page.py").write_text(program, encoding="utf-8")

    ran = support.run([sys.executable, "test_page.py"])
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")

    tests = len(re.findall(r"^def test_", program, re.MULTILINE))
    if tests:
        tested = support.run(as_pytest("test_page.py"))
        assert (tested.returncode, f"{tests} passed" in tested.stdout) == (0, True), tested.stdout


def test_there_are_blocks_to_run():
    """The README's example is run, and the page about testing has a test for each of its sections."""
    assert BLOCK.search((ROOT / "README.md").read_text())
    assert program_of(ROOT / "docs" / "testing.md").count("\ndef test_") >= 8


def test_a_page_that_is_wrong_is_noticed():
    """A statement of the page that does not hold makes its program fail."""
    wrong = program_of(ROOT / "docs" / "testing.md").replace("== 1_500", "== 1_501")
    Path("test_page.py").write_text(wrong, encoding="utf-8")

    tested = support.run(as_pytest("test_page.py"))

    assert tested.returncode == 1
    assert "1 failed" in tested.stdout


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page):
    """What a page links to in the repository is there."""
    links = LINK.findall(page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.fixture
def example():
    """The example project, alone in the working directory."""
    for path in EXAMPLE.glob("*.py"):
        shutil.copy(path, path.name)
    return Path("todo.py")


def test_the_example_passes(example):
    """A stranger's checkout of the example passes its own tests, and leaves nothing behind at home or in the state."""
    before = sorted(str(path) for path in Path(os.environ["HOME"]).parent.rglob("*"))

    tested = support.run(as_pytest("."), env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "DO_NOT_TRACK": "1"})

    assert (tested.returncode, "6 passed" in tested.stdout) == (0, True), tested.stdout
    assert sorted(str(path) for path in Path(os.environ["HOME"]).parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("right", "wrong", "failing"),
    [
        ("TELEMETRY.run(lambda: work(argv), argv)", "work(argv)", 4),
        ("        return 1\n", "        return 0\n", 1),
        ('Telemetry("todo"', 'Telemetry("another"', 2),
    ],
)
def test_the_example_would_notice(example, right, wrong, failing):
    """A program that records nothing, hides its failures or asks for another's consent fails the example's tests."""
    text = example.read_text()
    assert right in text
    example.write_text(text.replace(right, wrong))

    tested = support.run(as_pytest("."))

    assert f"{failing} failed" in tested.stdout, tested.stdout


def test_the_example_is_strictly_typed(example):
    """A user's `mypy --strict` has nothing to say about the program and its tests: the package's own types suffice."""
    checked = support.run([sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "."])

    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    example.write_text(example.read_text().replace('-> int:\n    """Run', '-> str:\n    """Run'))
    assert support.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "."]
    ).returncode


HOME_ASSISTANT = ROOT / "docs" / "examples" / "home_assistant" / "custom_components" / "franklinwh_demo"


def adoption():
    """The lines of the adoption's diff, each with the example's file that it stands in."""
    page = (ROOT / "docs" / "home-assistant.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```diff\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    name = ""
    for line in block.splitlines():
        if line.startswith(" # "):
            name = line[3:]
        else:
            yield name, line[:1], line[1:]


def test_the_adoption_in_home_assistant_is_what_the_example_does():
    """Fifteen added lines, in words and in number, all in the example, in the files and in the order the page says."""
    lines = list(adoption())

    assert "Fifteen lines" in (ROOT / "docs" / "home-assistant.md").read_text(encoding="utf-8")
    assert [sign for _name, sign, _line in lines].count("+") == 15
    for name in dict.fromkeys(name for name, _sign, _line in lines):
        text = (HOME_ASSISTANT / name).read_text(encoding="utf-8").splitlines()
        places = [text.index(line) for of, _sign, line in lines if of == name]
        assert places == sorted(places), name


def test_nothing_else_in_the_example_is_telemetry():
    """What the example has of this package is what the page adds, line by line."""
    added = {(name, line) for name, sign, line in adoption() if sign == "+"}
    found = {
        (path.relative_to(HOME_ASSISTANT).as_posix(), line)
        for path in HOME_ASSISTANT.rglob("*.*")
        if path.suffix in (".py", ".json", ".yaml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"telemetry[_.(]|franklinwh.telemetry|@action|@poll|share_usage", line)
    }

    assert found == added
