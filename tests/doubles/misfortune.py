"""
A user who has said yes, with a program, the command line and a destination; then something goes wrong.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import support
from doubles.records import VOCABULARY
from franklinwh_telemetry import Vocabulary, event
from franklinwh_telemetry.decoding import decode
from franklinwh_telemetry.sender.loopback import LoopbackReceiver

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from franklinwh_telemetry.backlog import Backlog

STRANGER = 65534
"""The uid of `nobody`, who has no home."""

COMMAND_LINE = "import sys; from franklinwh_telemetry.cli import main; main()"

PLAIN = """
import sys
def main():
    print("battery 81 %")
    print("a warning", file=sys.stderr)
    return 3
{wrapped}
sys.exit(main())
"""

WRAPPED = """
from franklinwh_telemetry import Telemetry, Vocabulary, dispatch_cli_event
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status", "mode"]))
dispatch_cli_event("mode", True, "anonymous", telemetry=telemetry)
main = telemetry.command("status")(main)
"""

ATTRIBUTES = {
    "franklinwh.command",
    "franklinwh.execution_latency_ms",
    "franklinwh.success",
    "franklinwh.execution_uuid",
}
REMEDY = re.compile(
    r"\b(answer|check|chmod|correct|free|give|make|mend|name|read|remove|report|run|save|set|start|take|unset|update"
    r"|use|write|wait)\b"
)
"""What every line that names something wrong must hold: a verb that says what to do."""


class World:
    """
    One user's world.

    `ini` is the file in the user's home; `prefix` are words put in front of every program that is run, such as those
    that make somebody else run it; every output of the command line is looked through for what must not be in it.
    """

    def __init__(self, receiver: LoopbackReceiver) -> None:
        self.receiver = receiver
        self.prefix: tuple[str, ...] = ()
        self.python = sys.executable
        self.ini = Path(os.environ["HOME"], ".franklinwh.ini")
        self.without: tuple[str, ...] = ()

    def good_ini(self) -> str:
        """An ini that says yes, beside a password, to the receiver."""
        return (
            "[energy.franklinwh.com]\nemail = surprise@example.com\npassword = surprise-password\n\n"
            f"[telemetry]\nenabled = true\nuuid = {support.VERSION_4}\nendpoint = {self.receiver.url}\n"
        )

    def say_yes(self) -> None:
        """Write the good ini, in place of whatever stands there."""
        clear(self.ini)
        self.ini.write_text(self.good_ini())
        self.ini.chmod(0o644)

    def environment(self, changed: Mapping[str, str] = {}) -> dict[str, str]:
        """What the programs are started with; somebody else cannot write coverage's files."""
        hidden = ("COVERAGE_",) if self.prefix else ("\0",)
        kept = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
        return {name: text for name, text in {**kept, **changed}.items() if name not in self.without}

    def run(self, code: str, *arguments: str, **changed: str) -> subprocess.CompletedProcess[bytes]:
        """Run a program of the user's."""
        command = [*self.prefix, self.python, "-c", code, *arguments]
        return support.run(command, text=False, env=self.environment(changed))

    def run_host(self, code: str = PLAIN, wrapped: str = WRAPPED, **changed: str) -> None:
        """Run the program with and without telemetry: nobody could tell the difference."""
        with_it = self.run(code.replace("{wrapped}", wrapped), **changed)
        without = self.run(code.replace("{wrapped}", ""), **changed)
        assert (with_it.returncode, with_it.stdout, with_it.stderr) == (3, without.stdout, without.stderr)
        assert (without.returncode, without.stderr) == (3, b"a warning\n")

    def ask(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess[bytes]:
        """Run the command line, which may refuse but never breaks, and repeats nothing of what it was not asked for."""
        ended = self.run(COMMAND_LINE, *arguments, **changed)
        said = ended.stdout + ended.stderr
        assert ended.returncode in (0, 1), said.decode()
        assert b"Traceback" not in said, said.decode()
        assert b"surprise" not in said, said.decode()
        return ended

    def status(self, **changed: str) -> list[str]:
        """The lines of `status`, which has nothing to say on stderr."""
        ended = self.ask("status", **changed)
        assert (ended.returncode, ended.stderr) == (0, b"")
        return ended.stdout.decode().splitlines()

    def explains(self, where: str, says: str) -> None:
        """Exactly one line of `status` names the place, says what is wrong with it, and has a verb of remedy."""
        lines = self.status()
        (line,) = [line for line in lines if says in line]
        assert where in line, line
        assert REMEDY.search(line.partition(says)[2] + says), line

    def kept(self, name: str = "status") -> list[str]:
        """The span ids of the valid records of one command that wait."""
        return sorted(fields["span_id"] for fields in waiting_records() if fields["command"] == name)

    def arrived(self, name: str = "status") -> list[str]:
        """The span ids of one command that have arrived; whatever has arrived is five facts and nothing else."""
        for request in self.receiver.requests:
            assert b"surprise" not in request.raw
        for span in self.receiver.spans:
            assert_five_facts(span)
        return sorted(span.span_id.hex() for span in self.receiver.spans if span.name == name)

    def survives(self) -> None:
        """The commands that look and send come to their ends."""
        for arguments in (("show", "--pending"), ("show", "--sent", "--raw"), ("send",), ("status", "--json")):
            self.ask(*arguments)


def waiting_records() -> list[dict[str, Any]]:
    """What waits and is a record, whatever lies beside it."""
    vocabulary = Vocabulary([*VOCABULARY.commands, "mode"])
    found = []
    for spool in support.spools():
        for name in spool.names():
            record = decode(spool.read(name) or b"", vocabulary)
            if isinstance(record, event.Record):
                found.append({"span_id": f"{record.span_id:016x}", "command": record.event.command.text})
    return found


def ini_spool() -> Backlog:
    """The spool of the ini's yes, beside that of the program's own."""
    host = b'"source": "host"'
    (found,) = [spool for spool in support.spools() if host not in Path(spool.path("manifest.json")).read_bytes()]
    return found


def assert_five_facts(span: Any) -> None:
    """A span that says a listed command, a time, a latency, a success and a random UUID, and nothing else."""
    assert span.name in ("status", "mode")
    assert {attribute.key for attribute in span.attributes} == ATTRIBUTES
    values = {attribute.key: attribute.value for attribute in span.attributes}
    assert values["franklinwh.command"].string_value == span.name
    assert UUID(values["franklinwh.execution_uuid"].string_value).version == event.RANDOM_VERSION
    latency_ns = values["franklinwh.execution_latency_ms"].int_value * 1_000_000
    assert span.end_time_unix_nano - span.start_time_unix_nano == latency_ns
    assert (list(span.events), list(span.links), span.trace_state, span.status.message) == ([], [], "", "")


def clear(path: Path) -> None:
    """Take away whatever stands at *path*."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def as_stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """
    Another user's world: `nobody` runs every program, in a home, a state folder and a working directory of theirs.

    Skips where that cannot be done: only root can become somebody else, who must have a Python and all the packages.
    """
    words = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody else")
    packages = [path for path in sys.path if os.path.basename(path) == "site-packages"]
    package = os.path.dirname(os.path.dirname(event.__file__))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([package, *packages]))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    pythons = [python for python in (sys.executable, shutil.which(version, path=os.defpath)) if python]
    # A sender is started by whoever was started: that must work a second time, without what root has passed on.
    probe = (
        "import franklinwh_telemetry, click, opentelemetry.sdk, subprocess, sys; subprocess.run([sys.executable, '-V'])"
    )
    usable = (python for python in pythons if support.run([*words, python, "-c", probe], cwd="/").returncode == 0)
    python = next(usable, None)
    if python is None:
        pytest.skip("nobody has no Python with these packages here")
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    try:
        for name, variable in (("home", "HOME"), ("state", "XDG_STATE_HOME"), ("cwd", "PWD")):
            (base / name).mkdir(mode=0o755)
            os.chown(base / name, STRANGER, STRANGER)
            monkeypatch.setenv(variable, str(base / name))
        monkeypatch.chdir(base / "cwd")
        with LoopbackReceiver() as receiver:
            world = World(receiver)
            world.prefix, world.python = words, python
            world.say_yes()
            yield world
    finally:
        os.chdir("/")
        shutil.rmtree(base)
