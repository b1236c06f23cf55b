from __future__ import annotations

import re

import pytest

from conftest import ROOT
from doubles import example_data, policy

PAGE = policy.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("sentence", policy.sentences(PAGE))
def test_every_sentence_names_what_proves_it(sentence):
    """Each line of the policy ends with the notes of tests, or with the one that says why there can be no test."""
    assert re.search(r"[.!?]( ?\[\^[\w-]+\])+$", sentence), sentence


def test_every_note_is_a_test_that_exists():
    """Each cited test is one, and the page's notes are what these tests say of themselves today."""
    assert len([name for name in policy.cited(PAGE) if name not in policy.BEYOND_TESTS]) > 60
    assert policy.noted(PAGE) == PAGE, "run: python tests/doubles/policy.py"


def test_a_sentence_without_proof_is_noticed():
    """A sentence that nobody proves, and a test that does not exist, do not pass."""
    with_more = PAGE.replace("\n## 2. Who", "Nothing ever goes wrong.\n\n## 2. Who")

    assert [line for line in policy.sentences(with_more) if not line.endswith("]")] == ["Nothing ever goes wrong."]
    with pytest.raises(KeyError):
        policy.noted(PAGE.replace("[^inherent]", "[^test_that_nobody_wrote]"))


def test_every_test_of_the_proof_page_exists():
    """Each test that the page of proofs names stands in the file that it names, and each row names one."""
    page = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    promises = page.partition("## What is promised")[2].partition("\n## ")[0].splitlines()
    rows = [line for line in promises if line.startswith("| ") and not line.startswith("| promise")]
    known = {(path, name) for name, places in policy.tests().items() for path, _shows in places}

    assert (len(named) > 40, len(rows) > 20) == (True, True)
    assert [line for line in rows if "`tests/" not in line and "`make " not in line] == []
    assert [one for one in named if one[1] and one not in known] == []
    assert [path for path, name in named if not name and not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("name", example_data.PAGES)
def test_the_example_pages_are_what_the_software_makes(name):
    """Every block of the example pages is, byte for byte, what the code of today makes of one command."""
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")

    assert example_data.BLOCK.search(page)
    assert page.count("```") == 2 * len(example_data.BLOCK.findall(page))
    assert example_data.filled(page, example_data.PAGES[name]()) == page, "run: python tests/doubles/example_data.py"


def test_the_example_shows_five_facts_and_constants():
    """The event on the page about PostHog has the contract's members and no other, and none is left unexplained."""
    page = (ROOT / "docs" / "example-data-posthog.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(?:properties\.)?([^`]+)` \|", page, re.MULTILINE))
    members = set(re.findall(r'"([$\w]+)":', example_data.posthog()["event"])) - {"properties"}

    assert explained == members


def test_nothing_of_the_user_knows_scarf(source_root):
    """No module that runs on a user's machine, and no file that goes into the Collector, has Scarf's name in it."""
    package = source_root / "src" / "franklinwh_telemetry"
    of_maintainers = [*package.glob("maintain*"), package / "cli.py"]
    of_users = [path for path in package.rglob("*.py") if not {path, path.parent} & set(of_maintainers)]
    collector = [path for path in (source_root / "collector").rglob("*.*") if path.suffix in (".go", ".yaml", ".json")]
    assert len(of_users) > 60
    assert len(collector) > 40

    found = [path.name for path in [*of_users, *collector] if "scarf" in path.read_text(encoding="utf-8").lower()]

    assert found == []
