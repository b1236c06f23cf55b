"""The Compose project as a user starts it, with the profile `public`, on whatever engine is there."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import ssl
import tarfile
from typing import TYPE_CHECKING, Any

import trustme

from doubles.collector import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from doubles.engine import Engine

PROJECT = "franklinwh-telemetry-under-test"
IMAGE = f"{PROJECT}:latest"
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

    def up(self) -> None:
        """Build the images and start, until all of it is healthy."""
        self.compose("build")
        self.compose("up", "-d", "--wait", "--wait-timeout", "120", "--no-build")

    def down(self) -> None:
        """End it, and leave no volume."""
        self.compose("down", "-v", "--remove-orphans", "--timeout", "5", check=False)

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
