"""`docker-compose.yml` for real: with nothing set, and with nginx in front for the public."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

import support
from doubles.collector import CONFIGURATION, free_port
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.otlp import decode_otlp_json
from doubles.records import APPLICATION
from doubles.sending import ids, recent, send
from doubles.stack import IMAGE, PROJECT, UNKNOWN_UID
from franklinwh_telemetry.sender.spans import otlp_json

if TYPE_CHECKING:
    from pathlib import Path

    from doubles.stack import Stack

pytestmark = [
    # An engine to unpack and a distribution to compile, where neither has been before.
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not CONFIGURATION.is_file(), reason="the sources are out of the way"),
]

UID = 10001


def test_what_is_sent_is_in_the_volume(stack: Stack, tmp_path: Path) -> None:
    """With nothing set the backend is a file, in a volume that belongs to the user who is not root."""
    records = recent(1, 3)

    assert send(stack.url, tmp_path, records).accepted_ids == ids(records)

    assert decode_otlp_json(json.loads(stack.lines()[-1])) == decode_otlp_json(otlp_json(records, APPLICATION))
    owners = {name: (member.uid, member.gid) for name, member in stack.members("/var/lib/otelcol").items()}
    assert set(owners.values()) == {(UID, UID)}
    assert {"otelcol/", "otelcol/spans/spans.jsonl"} <= {name + "/" * (name == "otelcol") for name in owners}


def test_the_volume_outlives_the_container(stack: Stack, tmp_path: Path) -> None:
    """A new container goes on where a killed one was."""
    records = recent(100, 2)
    assert send(stack.url, tmp_path, records).accepted_ids == ids(records)
    before = stack.lines()

    stack.compose("kill", "collector")
    stack.compose("rm", "-f", "collector")
    stack.compose("up", "-d", "--wait", "--no-build", "collector")

    assert stack.lines() == before


def test_the_collector_is_confined(stack: Stack) -> None:
    """Published on loopback alone; no root, no capability, nothing to write to but the volume, and limits."""
    found = stack.inspect("collector")
    host = found["HostConfig"]

    assert found["Config"]["User"] == f"{UID}:{UID}"
    assert host["PortBindings"] == {"4318/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], None)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == host["MemorySwap"] == 512 * 1024 * 1024
    assert host["PidsLimit"] == 200
    assert host["Ulimits"] == [{"Name": "nofile", "Hard": 8192, "Soft": 8192}]
    assert [(mount["Type"], mount["Destination"]) for mount in found["Mounts"]] == [("volume", "/var/lib/otelcol")]
    assert found["State"]["Health"]["Status"] == "healthy"


def test_the_image_holds_nothing_else(stack: Stack, collector_binary: Path) -> None:
    """Two programs, certificates and the configuration; the Collector is, byte for byte, the one that `make` builds."""
    exported = stack.engine.docker("export", stack.container("collector")).stdout
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        files = {member.name for member in archive.getmembers() if member.isfile()}
    made_by_docker = {".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf", "dev/console"}

    assert {name for name in files - made_by_docker if not name.startswith("etc/otelcol/")} == {
        "otelcol-franklinwh",
        "healthprobe",
        "etc/ssl/certs/ca-certificates.crt",
    }
    in_image = hashlib.sha256(stack.content("/otelcol-franklinwh")).hexdigest()
    if stack.engine.is_ours:
        assert in_image == hashlib.sha256(collector_binary.read_bytes()).hexdigest()


def test_a_backend_without_its_variable_does_not_start(stack: Stack) -> None:
    """`docker run -e` is enough to choose a backend, and the missing variable is named."""
    command = ("run", "--rm", "--network", "none", "-e", "FRANKLINWH_BACKEND=posthog", IMAGE)

    done = stack.engine.docker(*command, check=False)

    assert done.returncode == 1
    assert b"POSTHOG_API_KEY" in done.stderr


def test_variables_alone_route_to_another_otlp_backend(stack: Stack, tmp_path: Path) -> None:
    """A second container, of the same image with two variables set, passes on to the first."""
    port, records = free_port(), recent(200, 2)
    command = (
        *("run", "-d", "--rm", "--network", f"{PROJECT}_default", "-p", f"127.0.0.1:{port}:4318"),
        *("--read-only", "--cap-drop", "ALL", "-e", "FRANKLINWH_BACKEND=otlp"),
        *("-e", "FRANKLINWH_OTLP_ENDPOINT=http://collector:4318", IMAGE),
    )
    container = stack.engine.docker(*command).stdout.decode().strip()
    try:
        support.wait_until(lambda: send(f"http://127.0.0.1:{port}", tmp_path, records).accepted_ids == ids(records))
        expected = decode_otlp_json(otlp_json(records, APPLICATION))
        support.wait_until(lambda: decode_otlp_json(json.loads(stack.lines()[-1])) == expected)
    finally:
        stack.engine.docker("rm", "-fv", container)


def test_the_public_way_in_is_tls(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real sender reaches the Collector through nginx, which alone is published beyond this machine."""
    bundle = tmp_path / "authority.pem"
    stack.authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    records = recent(300, 2)

    assert send(f"https://127.0.0.1:{stack.public_port}", tmp_path, records).accepted_ids == ids(records)

    assert decode_otlp_json(json.loads(stack.lines()[-1])) == decode_otlp_json(otlp_json(records, APPLICATION))


def test_the_public_way_in_has_limits(stack: Stack) -> None:
    """One path and one method; heads, bodies and rates beyond what a sender needs are refused before the Collector."""
    assert stack.ask_public("POST", "/v1/traces") == 200
    assert stack.ask_public("GET", "/v1/traces") == 403
    assert stack.ask_public("POST", "/") == 404
    assert stack.ask_public("POST", "/v1/traces", surprise="x" * 9000) == 400
    assert stack.ask_public("POST", "/v1/traces", b"x" * (1024 * 1024 + 1)) == 413

    began = time.monotonic()
    statuses = stack.ask_public_at_once(90)
    allowed = 51 + 10 * (time.monotonic() - began)
    assert len(statuses) == 90
    assert set(statuses) == {200, 429}
    assert statuses.count(200) <= allowed + 1


def test_the_proxy_is_confined_and_logs_nobody(stack: Stack) -> None:
    """After all of the above, with a client that speaks no TLS besides, nginx has not logged a single line."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.public_port, timeout=20)
    connection.request("GET", "/surprise")
    assert connection.getresponse().status == 400
    connection.close()
    found = stack.inspect("proxy")
    host = found["HostConfig"]

    assert stack.engine.docker("logs", stack.container("proxy")).stdout == b""
    assert stack.engine.docker("logs", stack.container("proxy")).stderr == b""
    assert found["Config"]["User"] == str(UNKNOWN_UID)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], None)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == 768 * 1024 * 1024
    assert {mount["Destination"] for mount in found["Mounts"]} == {
        "/etc/nginx/franklinwh.conf",
        "/run/secrets/cert.pem",
        "/run/secrets/key.pem",
    }
