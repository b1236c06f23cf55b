"""
Programs for faults to strike: a host's commands and a sender, each run in a fork that is stopped at its beginning.

Run as a program, it reads one request a line: the name of a run, its folder, its environment, and where its output
goes. It answers with the number of the stopped process, and later with the status that it ended with. So what is
imported once need not be imported, nor traced, again.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import mmap
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from franklinwh_telemetry import Telemetry, Vocabulary, dispatch_cli_event, system

if TYPE_CHECKING:
    from collections.abc import Callable

END = "/this is where the path under test ends"
"""Looked for where there is no such file: that call stands in the trace, and what comes after it is the host's own."""

OUTPUT = "battery 81 %\n[7, 7]\n"
WARNING = "a warning\n"
STATUS = 3

DEADLINE_S = 100
TRACE_ID_BYTES = 16
_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def begin() -> None:
    """Say what every host says; the first line stays in the buffer until the process ends."""
    sys.stdout.write("battery 81 %\n")
    sys.stderr.write(WARNING)


def stop() -> None:
    """Wait here until somebody lets us go on."""
    os.kill(os.getpid(), signal.SIGSTOP)


def end() -> None:
    """Say in the trace that the path under test has come to its end."""
    os.access(END, os.F_OK)


def telemetry() -> Telemetry:
    """The host's, whose first event has the ids 1 and 2, the next 3 and 4, also where there could be no first."""
    trace_id = -1

    def random_bytes(size: int) -> bytes:
        nonlocal trace_id
        is_trace = size == TRACE_ID_BYTES
        trace_id += 2 if is_trace else 0
        os.urandom(size)
        return (trace_id if is_trace else trace_id + 1).to_bytes(size, "big")

    system.random_bytes = random_bytes
    return Telemetry("franklinwh-cloud", Vocabulary(["status", "mode"]))


def commands(returned: mmap.mmap, *, prepare: Callable[[], None] = lambda: None) -> None:
    """Two runs of a command."""
    prepare()
    begin()
    status = telemetry().command("status")(lambda: 7)
    stop()
    results = []
    for number in (1, 2):
        results.append(status())
        returned[0] = number
    end()
    sys.stdout.write(f"{results}\n")
    sys.exit(STATUS)


def crowded(returned: mmap.mmap) -> None:
    """The same in a spool that is full at eight records, and counted from four on."""

    def make_small() -> None:
        from franklinwh_telemetry import spool

        spool.FEW, spool.MAX_RECORDS = 3, 8  # type: ignore[misc]

    commands(returned, prepare=make_small)


def hook(returned: mmap.mmap) -> None:
    """The policy's hook, which is completed as the process ends."""
    begin()
    reporter = telemetry()

    def is_over() -> None:
        returned[0] = 1
        end()

    atexit.register(is_over)
    stop()
    dispatch_cli_event("status", True, "anonymous", telemetry=reporter)
    sys.stdout.write("[7, 7]\n")
    sys.exit(STATUS)


def flush(returned: mmap.mmap) -> None:
    """Two commands in an event loop, which are written by `flush`."""
    import asyncio  # loads `subprocess`, which is part of the path elsewhere

    begin()
    reporter = telemetry()
    status = reporter.command("status")(lambda: 7)
    stop()
    asyncio._set_running_loop(asyncio.Future.__new__(asyncio.Future))  # type: ignore[arg-type]
    results = [status(), status()]
    asyncio._set_running_loop(None)
    reporter.flush()
    returned[0] = 2
    end()
    sys.stdout.write(f"{results}\n")
    sys.exit(STATUS)


def sender(_returned: mmap.mmap, folder: str) -> None:
    """A sender, which need not wait for what follows."""
    from franklinwh_telemetry.sender import __main__ as program

    program.GRACE_S = 0.2
    # The lowest would have the tests of a busy machine wait for ever.
    program.LOWEST_PRIORITY = 0
    stop()
    status = program.main([folder])
    end()
    sys.exit(status)


RUNS: dict[str, Callable[..., None]] = {
    "commands": commands,
    "crowded": crowded,
    "hook": hook,
    "flush": flush,
    "sender": sender,
}


def become(request: dict[str, Any]) -> None:
    """Be the program that was asked for, in its own folder, with its own environment and output."""
    # Where only a parent may trace its children, whoever runs the tests may trace this one all the same.
    ctypes.CDLL(None).prctl(_PTRACER, _ANYBODY)
    signal.alarm(DEADLINE_S)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for descriptor, name in enumerate((os.devnull, request["stdout"], request["stderr"])):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    with open(request["returned"], "r+b") as file:
        returned = mmap.mmap(file.fileno(), 1)
    RUNS[request["run"]](returned, *request["arguments"])


def say(**fields: object) -> None:
    """Answer."""
    os.write(1, json.dumps(fields).encode() + b"\n")


def main(what: str) -> None:
    """Serve until there are no more requests; a child returns from here when its program has come to its end."""
    if what == "sender":
        import franklinwh_telemetry.sender.delivery
        import franklinwh_telemetry.sender.send  # noqa: F401
    else:
        # Whatever is launched ends at once, as a sender does that is killed: the next one has all to do.
        sys.executable = os.environ["SENDERS_PYTHON"]
    # When something is collected is not to differ from run to run.
    gc.disable()
    while line := os.read(0, 1 << 16):
        child = os.fork()
        if not child:
            become(json.loads(line))
            return
        _child, status = os.waitpid(child, os.WUNTRACED)
        say(stopped=child if os.WIFSTOPPED(status) else None)
        if os.WIFSTOPPED(status):
            _child, status = os.waitpid(child, 0)
        say(status=os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
