"""
Short names, and what is said where no file can be opened: nothing.
"""

from __future__ import annotations

import os

import pytest

import support
from franklinwh_telemetry.digest import short_name

FULL = """
import os, resource, sys
from franklinwh_telemetry import Telemetry, Vocabulary
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]))
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
with telemetry.command("status"):
    print("work done")
print("logging" in sys.modules, "_hashlib" in sys.modules)
"""

LOADED_WITH_A_FILE = """
import franklinwh_telemetry.permission
"""


def test_a_name_stands_for_one_text():
    """Sixteen digits, the same every time, and others for every other text, be it text that no file name can hold."""
    texts = ("", "a", "b", "a" * 100_000, "\udcff", "\u2028")
    names = [short_name(text) for text in texts]
    assert names == [short_name(text) for text in texts]
    assert len({*names}) == len(texts)
    assert short_name("a") == "ca978112ca1bbdca"


@support.posix_only
@pytest.mark.parametrize("left", [0, 1, 2, 3])
@pytest.mark.parametrize("prelude", ["", LOADED_WITH_A_FILE], ids=["loads nothing before", "loads its modules before"])
def test_a_program_without_files_to_open_says_nothing_more(left, prelude):
    """Its output is its own, and its logging is not set up for it, however few files it may still open."""
    pytest.importorskip("resource")
    with open("franklinwh.ini", "w", encoding="utf-8") as ini:
        ini.write(support.CONSENT)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}
    ended = support.run_python(FULL.replace("{prelude}", prelude), str(left), env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("work done\nFalse ")
