from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
from pathlib import Path

import pytest

import support
from franklinwh_telemetry.launch import SENDER_MARK

PATIENCE_S = 400.0
"""The demo starts some twenty processes one after the other: seconds, but not on a machine that does much else."""

pytestmark = pytest.mark.timeout(900)

AUDIT = """
import os, sys
def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        address = arguments[1] if event != "socket.getaddrinfo" else (arguments[0],)
        with open({log!r}, "a") as log:
            log.write(str(address[0] if isinstance(address, tuple) else address) + "\\\\n")
sys.addaudithook(note)
"""


def test_demo_delivers_everything_and_connects_to_loopback_only(tmp_path, monkeypatch):
    """The whole way with the real CLI: nothing lost, nothing asked of any host but this one, by any process."""
    monkeypatch.delenv(SENDER_MARK)
    log = tmp_path / "connections"
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "sitecustomize.py").write_text(AUDIT.format(log=str(log)).replace("\\\\n", "\\n"))
    path = [str(tmp_path / "audit"), *(entry for entry in sys.path if os.path.isabs(entry))]
    before = sorted(Path.cwd().iterdir())

    ended = support.run(
        [sys.executable, "-m", "franklinwh_telemetry", "demo"],
        timeout_s=PATIENCE_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "demo: recorded 6, delivered 6, lost 0"
    assert '"name": "energy --describe"' in ended.stdout
    assert '"command":"mode --set self_consumption","execution_latency_ms":' in ended.stdout
    addresses = set(log.read_text().split())
    assert addresses
    assert [address for address in addresses if not ipaddress.ip_address(address).is_loopback] == []
    assert sorted(Path.cwd().iterdir()) == before


def test_demo_writes_what_a_maintainer_sees(monkeypatch):
    """With --report the six events are in a page, whose place is told; without DuckDB one line says how to get it."""
    monkeypatch.delenv(SENDER_MARK)
    command = "import sys; {}from franklinwh_telemetry.cli import main; main()"
    asked = ["demo", "--report", "demo.html"]

    ended = support.run([sys.executable, "-c", command.format(""), *asked], timeout_s=PATIENCE_S)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-3:] == ["Report: demo.html", "", "demo: recorded 6, delivered 6, lost 0"]
    (text,) = re.findall(r'type="application/json">(.*?)</script>', Path("demo.html").read_text(), re.DOTALL)
    data = json.loads(text)
    assert sum(cell[2] for cell in data["cells"]) == 6
    assert {scope[2] for scope in data["scopes"] if scope[1] == "command"} == {
        "discover --verbose",
        "energy --describe",
        "mode --set self_consumption",
        "other",
        "status",
        "tou --extended",
    }

    without_duckdb = command.format("sys.modules['duckdb'] = None; ")
    without = support.run([sys.executable, "-c", without_duckdb, *asked], timeout_s=PATIENCE_S)

    assert (without.returncode, without.stderr) == (0, "")
    assert without.stdout.splitlines()[-3] == (
        'No report: this needs DuckDB: pip install "franklinwh-telemetry[maintainer]"'
    )


def test_demo_says_what_is_missing(monkeypatch):
    """Without franklinwh-cloud there is one line that says how to get it, and a failing exit status."""
    code = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "franklinwh_cloud" else find(name, *rest)
sys.argv = ["franklinwh-telemetry", "demo"]
from franklinwh_telemetry.cli import main
main()
"""
    ended = support.run_python(code)

    assert ended.returncode == 1
    assert "pip install franklinwh-cloud==0.6.4" in ended.stdout
