"""
A real `hass` process, spoken to over HTTP as a browser would, with the example as a custom component.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from house import DOMAIN, EXAMPLE

from franklinwh_telemetry.sender.loopback import LoopbackReceiver

SERVICE = {"mode": "self_consumption"}
STOP_S = 10.0
"""It takes about one second; a sender that was waited for would take thirty."""


class RealHome:
    """A Home Assistant in a process of its own."""

    def __init__(self, config: Path) -> None:
        self.config = config
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        shutil.copytree(EXAMPLE, config / "custom_components", ignore=shutil.ignore_patterns("__pycache__"))
        port = urllib.parse.urlsplit(self.url).port
        (config / "configuration.yaml").write_text(f"http:\n  server_host: 127.0.0.1\n  server_port: {port}\n")
        self.token = ""
        self.output = (config / "output.txt").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "homeassistant", "--config", str(config), "--skip-pip"],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        """What the user finds in the log, and what was printed."""
        path = self.config / "home-assistant.log"
        return (path.read_text() if path.exists() else "") + (self.config / "output.txt").read_text()

    def ask(self, path, body=None, *, method="POST", form=False):
        """One request, and its answer."""
        data = None
        if body is not None:
            data = urllib.parse.urlencode(body).encode() if form else json.dumps(body).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def move_in(self):
        """Wait until it listens, and make its first user, as its first visitor does."""
        deadline_s = time.monotonic() + 90
        while True:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline_s, self.log
            with contextlib.suppress(OSError, ValueError):
                self.ask("/api/onboarding", method="GET")
                break
            time.sleep(0.2)
        client_id = f"{self.url}/"
        user = {"client_id": client_id, "name": "User", "username": "user", "password": "user", "language": "en"}
        code = self.ask("/api/onboarding/users", user)["auth_code"]
        granted = {"grant_type": "authorization_code", "code": code, "client_id": client_id}
        self.token = self.ask("/auth/token", granted, form=True)["access_token"]

    def fill_in(self, flow, handler, values):
        """Open a form, save it, and return both answers."""
        form = self.ask(f"/api/config/config_entries/{flow}", {"handler": handler})
        return form, self.ask(f"/api/config/config_entries/{flow}/{form['flow_id']}", values)

    def stop(self):
        """End it as a system does; how long that took, in seconds."""
        started_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        return time.monotonic() - started_s


@pytest.fixture
def home(tmp_path, monkeypatch, senders, socket_enabled):
    """Return a Home Assistant that listens, whose user has just moved in."""
    started = RealHome(tmp_path / "config")
    try:
        started.move_in()
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        started.output.close()


def processes_of(folder):
    """The command lines of all processes that name this folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            # None for a moment while it becomes another program, which what has ended, or is the kernel's, has not.
            while not (line := Path(f"/proc/{pid}/cmdline").read_bytes()):
                os.readlink(f"/proc/{pid}/exe")
                time.sleep(0.001)
            words = line.decode(errors="replace").replace("\0", " ")
            if str(folder) in words:
                found.append(words)
    return found


@pytest.mark.timeout(300)
def test_a_real_home_assistant(home):
    """
    Toggled on in the options form, an action arrives, while it runs and when it stops, and nothing blocks its loop.
    """
    with LoopbackReceiver() as receiver:
        (home.config / "franklinwh.ini").write_text(f"[telemetry {DOMAIN}]\nendpoint = {receiver.url}\n")
        _form, added = home.fill_in("flow", DOMAIN, {"gateway": "SERIAL-1"})
        entry_id = added["result"]["entry_id"]
        call = {"config_entry_id": entry_id, **SERVICE}
        home.ask(f"/api/services/{DOMAIN}/set_mode", call)
        assert not (home.config / ".storage" / "franklinwh_telemetry").exists()

        form, _saved = home.fill_in("options/flow", entry_id, {"scan_interval": 60, "share_usage": True})
        assert form["data_schema"][-1] == {
            "name": "share_usage",
            "required": True,
            "default": False,
            "selector": {"boolean": {}},
        }
        home.ask(f"/api/services/{DOMAIN}/set_mode", call)
        home.ask("/api/services/switch/turn_on", {"entity_id": "switch.gateway_smart_circuit"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            home.ask(f"/api/services/{DOMAIN}/set_mode", {**call, "mode": "surprise"})
        assert refused.value.code == 500
        home.ask(f"/api/config/config_entries/entry/{entry_id}/reload", {})
        assert receiver.wait_for_spans(3, 30.0), home.log
        while_running = len(receiver.spans)

        home.ask(f"/api/services/{DOMAIN}/set_mode", call)
        took_s = home.stop()

        assert receiver.wait_for_spans(4, 30.0), home.log
        deadline_s = time.monotonic() + 30
        while processes_of(home.config) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        assert processes_of(home.config) == []

    log = home.log
    assert home.process.returncode == 0, log
    assert took_s < STOP_S
    assert (while_running, len(receiver.spans)) == (3, 4)
    told = [(span.name, span.status.code) for span in receiver.spans]
    assert sorted(told) == [("set_mode", 1), ("set_mode", 1), ("set_mode", 2), ("turn_on", 1)]
    assert "surprise" not in "".join(str(request.body) for request in receiver.requests)
    assert "SERIAL-1" not in "".join(str(request.body) for request in receiver.requests)
    assert re.findall(r".*(?:Detected|Caught) blocking call.*", log) == []
    ours = [line for line in log.splitlines() if re.search(r" (?:WARNING|ERROR) ", line) and "telemetry" in line]
    assert ours == []
