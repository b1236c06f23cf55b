from __future__ import annotations

import ast
import importlib
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MAX_LINES = 300

# Written so that no pattern matches its own line.
MACHINE_PATHS = re.compile(
    r"(?<![\w.}~*/-])/(?:work|root|Users|opt[/]wheels|tmp[/]w)(?:/|\b)|/home/(?!alice\b|surprise\b|user\b)\w"
)
REGISTRIES = re.compile(r"pypi[.]org|pythonhosted[.]org|npmjs[.]|crates[.]io|proxy[.]golang|deb[.]debian|maven[.]org")
WORKPLACE = re.compile(
    r"DESIGN[.]md|STYLE[.]md|SPEC[.]md|[.]{2}[/]shared\b|[.]library\b|cla[u]de|anthr[o]pic", re.IGNORECASE
)
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")


def tracked() -> list[Path]:
    """
    Return the files of the repository, those not yet added included; none where there is no repository.
    """
    if not (ROOT / ".git").exists():
        return []
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(path for path in (ROOT / name for name in names if name) if path.is_file())


def python_files(folder: str) -> list[Path]:
    """
    Return the Python files below a folder of the repository.
    """
    return sorted((ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    """
    Return how the repository names the file.
    """
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """
    Return how Python names the module in a file of the sources.
    """
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


@pytest.fixture
def files() -> list[Path]:
    """
    Return the tracked files, or skip where there is no repository.
    """
    found = tracked()
    if not found:
        pytest.skip("not a git checkout")
    return found


@pytest.mark.parametrize(
    ("forbidden", "matching", "innocent"),
    [
        (MACHINE_PATHS, "cd /wo~rk/main", "tmp/work"),
        (MACHINE_PATHS, "'/ro~ot'", "~/root"),
        (MACHINE_PATHS, "/home/~bob/x", "/home/alice/x"),
        (REGISTRIES, "files.python~hosted.org", "posthog.com"),
        (WORKPLACE, "see DESIGN~.md", "design"),
        (UNFINISHED, "# TO~DO", "todos"),
    ],
    ids=["a path", "another path", "a home", "a registry", "a workplace", "a loose end"],
)
def test_no_file_names_a_machine_or_a_workplace(files, forbidden, matching, innocent):
    """No file of the repository holds a machine's path, a registry's host, a tool of a workplace or a loose end."""
    # The "~" keeps this file itself from matching.
    assert forbidden.search(matching.replace("~", ""))
    assert not forbidden.search(innocent)

    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if forbidden.search(line)
    ]

    assert found == []


def test_nothing_made_by_a_tool_is_tracked(files):
    """No lock that names a registry, no environment, cache or build is part of the repository."""
    made = re.compile(r"(^|/)(uv\.lock|\.venv|__pycache__|build|dist|\.coverage.*|[^/]*\.egg-info|\.env)(/|$)")

    assert [relative(path) for path in files if made.search(relative(path))] == []


def test_every_test_says_what_it_shows():
    """Every test function has a docstring."""
    silent = [
        f"{relative(path)}: {node.name}"
        for path in python_files("tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


@pytest.mark.parametrize("path", python_files("src"), ids=relative)
def test_a_module_is_short_and_opens_with_what_it_owns(path):
    """Each module begins with a docstring, defers its annotations if it has any, and is at most 300 lines long."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)

    assert ast.get_docstring(tree)
    assert len(text.splitlines()) <= MAX_LINES
    annotated = any(isinstance(node, (ast.FunctionDef, ast.AnnAssign)) for node in ast.walk(tree))
    assert not annotated or "from __future__ import annotations\n" in text


def test_only_the_seam_knows_the_system():
    """Only `system.py` and `kernel.py` ask where they run, what `os` has, how a close ends; a sender, `nice`."""
    asking = re.compile(
        r"sys\.platform|os\.name\b|hasattr\((?:os|signal|sys)\b|getattr\((?:os|signal)\b|os\.O_(?!RDONLY|RDWR|WRONLY|CREAT|EXCL|APPEND)"
        r"|\bos\.supports_|\bos\.(?:get|set)?e?[ug]id\b|\bos\.(?:close|waitpid|statvfs|fork|fchmod|fchown|listxattr)\b"
        r"|import (?:platform|fcntl|msvcrt|pwd|grp|ctypes|winreg|resource)\b"
    )
    found = {
        relative(path).removeprefix("src/franklinwh_telemetry/"): asked
        for path in python_files("src")
        if (asked := asking.findall(path.read_text(encoding="utf-8")))
    }

    assert len(found.pop("system.py")) > 20
    assert len(found.pop("kernel.py")) > 5
    assert found == {"sender/__main__.py": ["hasattr(os"]}


@pytest.mark.parametrize("path", python_files("src"), ids=relative)
def test_all_is_sorted_and_each_name_is_there(path):
    """Where a module lists its public names, they are sorted, unique and defined."""
    if path.name == "__main__.py":
        pytest.skip("a program, not a module to import from")
    module = importlib.import_module(module_name(path))
    public = getattr(module, "__all__", ())

    assert list(public) == sorted(set(public))
    assert [name for name in public if not hasattr(module, name)] == []


def test_the_package_lists_every_public_name():
    """The package's `__all__` is what it binds without an underscore, its own modules aside."""
    package = importlib.import_module("franklinwh_telemetry")
    submodules = {path.stem for path in (ROOT / "src" / "franklinwh_telemetry").iterdir()}
    bound = {name for name in vars(package) if not name.startswith("_")} - submodules - {"annotations", "TYPE_CHECKING"}

    assert bound <= set(package.__all__)
    assert {"Denied", "Granted", "Telemetry", "Vocabulary", "dispatch_cli_event", "read_consent"} <= set(
        package.__all__
    )


def test_the_package_has_its_names_and_no_others():
    """The hook, which is imported when it is asked for, is there like the rest; a name that is none is an error."""
    package = importlib.import_module("franklinwh_telemetry")

    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'dispatch'"):
        package.__getattr__("dispatch")
