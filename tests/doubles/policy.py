"""
Writes the notes of the privacy policy: for each test that a sentence names, where it stands and what it shows.

`python tests/doubles/policy.py` after a sentence or a test has changed. The tests never write them.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
PAGE = TESTS.parent / "docs" / "privacy-policy.md"
HEADING = "## Notes\n"
CITED = re.compile(r"\[\^([\w-]+)\](?!:)")

BEYOND_TESTS = {
    "aim": "An aim, or what a thing is for; no test can prove it.",
    "inherent": "Beyond what any software on the user's machine can decide.",
    "scarf-says": "Scarf's own documentation says so; nothing here can test it.",
    "benchmarks": "Measured by `make bench`; the figures stand in [Benchmarks](benchmarks.md).",
}
"""Notes of sentences that no test can prove."""


def sentences(page: str) -> list[str]:
    """The lines of the policy that say something: no heading, picture, block, nor the words about the page itself."""
    body = re.sub(r"^```.*?^```$", "", page.partition(HEADING)[0], flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in body.splitlines() if line and not line.startswith(("#", ">", "!["))]
    return [line for line in lines if not re.fullmatch(r"\*\*[^*]+\*\*", line) and not line.endswith(":")]


def cited(page: str) -> list[str]:
    """The notes that sentences name, in the order of their first mention."""
    return list(dict.fromkeys(CITED.findall(page.partition(HEADING)[0])))


@functools.cache
def tests() -> dict[str, list[tuple[str, str]]]:
    """Every test by its name: the files it stands in, each with the first line of what it shows."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                shows = " ".join((ast.get_docstring(node) or "").split("\n\n", maxsplit=1)[0].split())
                found.setdefault(node.name, []).append((path.relative_to(TESTS.parent).as_posix(), shows))
    return found


def note(name: str) -> str:
    """The note of a test, or of what no test can prove; KeyError for a test that is none."""
    if name in BEYOND_TESTS:
        return f"[^{name}]: {BEYOND_TESTS[name]}"
    places = tests()[name]
    return f"[^{name}]: " + " ".join(f"`{name}` in `{path}`: {shows}" for path, shows in places)


def noted(page: str) -> str:
    """The page with the notes that its sentences need."""
    return page.partition(HEADING)[0] + HEADING + "\n" + "\n".join(note(name) for name in cited(page)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(noted(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
