"""`docker-compose.yml` for real: with nothing set, and with nginx in front for the public."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import re
import socket
import ssl
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

import support
from doubles.collector import CONFIGURATION, free_port
from doubles.engine import Engine, engine
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.otlp import decode_otlp_json
from doubles.records import APPLICATION
from doubles.sending import ids, recent, send
from franklinwh_telemetry.sender.spans import otlp_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

pytestmark = [
    # An engine to unpack and a distribution to compile, where neither has been before.
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not CONFIGURATION.is_file(), reason="the sources are out of the way"),
]

PROJECT = "franklinwh-telemetry-under-test"
IMAGE = f"{PROJECT}:latest"
UID = 10001
UNKNOWN_UID = 1234
JSON = {"Content-Type": "application/json"}


class Stack:
    """The Compose project under test, on an engine."""

    def __init__(self, docker: Engine, folder: Path) -> None:
        self.engine = docker
        self.port, self.public_port = free_port(), free_port()
        self.authority = trustme.CA()
        certificate = self.authority.issue_cert("localhost", "127.0.0.1")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(str(folder / "cert.pem"), append=True)
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        for path in folder.iterdir():
            path.chmod(0o444)
        self.settings = {
            "FRANKLINWH_PORT": str(self.port),
            "FRANKLINWH_PUBLIC_PORT": str(self.public_port),
            "FRANKLINWH_PUBLIC_CERT": str(folder / "cert.pem"),
            "FRANKLINWH_PUBLIC_KEY": str(folder / "key.pem"),
            "FRANKLINWH_PUBLIC_UID": str(UNKNOWN_UID),
        }
        override: dict[str, Any] = {"image": IMAGE}
        if docker.is_ours:
            # Only so does a build reach the package registries.
            override["build"] = {"network": "host"}
        (folder / "override.json").write_text(json.dumps({"services": {"collector": override}}), encoding="utf-8")
        self._files = ("-f", "docker-compose.yml", "-f", str(folder / "override.json"))

    @property
    def url(self) -> str:
        """Where the Collector is published."""
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run `docker compose` on the project and return what it printed."""
        command = ("compose", "-p", PROJECT, "--ansi", "never", *self._files, "--profile", "public", *arguments)
        done = self.engine.docker(*command, check=check, **self.settings)
        return (done.stdout + done.stderr).decode(errors="replace")

    def container(self, service: str) -> str:
        """The id of the service's container."""
        return self.compose("ps", "-q", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker says about the service's container."""
        (found,) = json.loads(self.engine.docker("inspect", self.container(service)).stdout)
        return dict(found)

    def members(self, path: str) -> dict[str, tarfile.TarInfo]:
        """What lies at a path in the Collector's container, by name."""
        with self._archive(path) as archive:
            return {member.name: member for member in archive.getmembers()}

    def content(self, path: str) -> bytes:
        """The bytes of one file in the Collector's container."""
        with self._archive(path) as archive:
            found = archive.extractfile(path.rsplit("/", 1)[1])
            assert found is not None
            return found.read()

    def lines(self) -> list[str]:
        """The lines of the file backend."""
        return self.content("/var/lib/otelcol/spans/spans.jsonl").decode().splitlines()

    def ask_public(self, method: str, path: str, body: bytes = b"{}", **headers: str) -> int:
        """Ask the proxy over TLS, and return the status."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        connection = http.client.HTTPSConnection("127.0.0.1", self.public_port, timeout=20, context=context)
        try:
            connection.request(method, path, body, {**JSON, **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def ask_public_at_once(self, count: int) -> list[int]:
        """Put that many requests on one connection without waiting for an answer, and return the statuses."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        last = f"{head}Connection: close\r\n\r\n{{}}"
        with (
            socket.create_connection(("127.0.0.1", self.public_port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall((f"{head}\r\n{{}}" * (count - 1) + last).encode())
            answers = b"".join(iter(lambda: connection.recv(65536), b""))
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", answers)]

    def _archive(self, path: str) -> tarfile.TarFile:
        return tarfile.open(fileobj=io.BytesIO(self.copied(path).stdout))

    def copied(self, path: str) -> CompletedProcess[bytes]:
        """A path of the Collector's container as a tar file."""
        return self.engine.docker("cp", f"{self.container('collector')}:{path}", "-")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole project, built and started as a user would, with the profile `public`."""
    with engine() as docker:
        found = Stack(docker, tmp_path_factory.mktemp("compose"))
        try:
            found.compose("build")
            found.compose("up", "-d", "--wait", "--wait-timeout", "120", "--no-build")
            yield found
        finally:
            found.compose("down", "-v", "--remove-orphans", "--timeout", "5", check=False)


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
