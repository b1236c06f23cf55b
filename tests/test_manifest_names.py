"""
Short names, and what is said when what makes them cannot be loaded: nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import support
from franklinwh_telemetry.spool import short_name

FAULTY = """
import sys
from franklinwh_telemetry import Telemetry, Vocabulary
refused = [sys.argv[1]]
def refuse(event, arguments):
    if event == "import" and arguments[0] in refused:
        refused.clear()
        raise ImportError("cannot open shared object file: Too many open files")
sys.addaudithook(refuse)
for _ in range(2):
    with Telemetry("franklinwh-cloud", Vocabulary(["status"])).command("status"):
        print("work done")
print("logging" in sys.modules, refused)
"""

FULL = """
import os, resource, sys
from franklinwh_telemetry import Telemetry, Vocabulary
{prelude}
_soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard))
opened = []
while True:
    try:
        opened.append(os.dup(0))
    except OSError:
        break
for _ in range(int(sys.argv[1])):
    os.close(opened.pop())
with Telemetry("franklinwh-cloud", Vocabulary(["status"])).command("status"):
    print("work done")
print("logging" in sys.modules)
"""


@pytest.fixture
def unmeasured() -> dict[str, str]:
    """A user's yes, and an environment in which coverage writes no files of its own."""
    Path("franklinwh.ini").write_text(support.CONSENT)
    return {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}


def test_a_name_stands_for_one_text():
    """Sixteen digits, the same every time, and others for every other text, be it text that no file name can hold."""
    texts = ("", "a", "b", "a" * 100_000, "\udcff", "\u2028")
    names = [short_name(text) for text in texts]
    assert names == [short_name(text) for text in texts]
    assert len({*names}) == len(texts)
    assert short_name("a") == "ca978112ca1bbdca"


@pytest.mark.parametrize("module", ["hashlib", "_hashlib", "_blake2"])
def test_a_module_that_cannot_be_loaded_is_no_matter_of_the_programs(unmeasured, module):
    """The program's output is its own, its logging is not set up for it, and its next command is recorded."""
    ended = support.run_python(FAULTY, module, env=unmeasured)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "work done\nwork done\nFalse []\n", "")
    assert len(support.waiting()) in (1, 2)


@support.posix_only
@pytest.mark.parametrize("left", [0, 1, 2])
@pytest.mark.parametrize("prelude", ["", "import franklinwh_telemetry.permission"], ids=["nothing", "its modules"])
def test_a_program_without_files_to_open_says_nothing_more(unmeasured, left, prelude):
    """Nor does it where hardly a file can be opened, whatever is loaded before."""
    pytest.importorskip("resource")
    ended = support.run_python(FULL.replace("{prelude}", prelude), str(left), env=unmeasured)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "work done\nFalse\n", "")
