"""
Asking: `on` with its question, and `ask_once`, the first-run question of a program with a terminal.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, Protocol

from franklinwh_telemetry import kernel, system
from franklinwh_telemetry.guard import guard
from franklinwh_telemetry.lookup import DenialReason, Denied

if TYPE_CHECKING:
    from typing import TextIO

    from franklinwh_telemetry.plan import Plan, Told
    from franklinwh_telemetry.recorder import Telemetry

NEVER_ANSWERED: Final = (DenialReason.NO_INI, DenialReason.NO_SECTION, DenialReason.NOT_DECIDED)

QUESTION: Final = "Send these five facts about each command? [y/N] "

NO_TERMINAL: Final = "Nothing was changed: there is no terminal to ask on; give --yes to say yes."

_ONLY_TOLD: Final = frozenset(("-h", "--help", "--version"))


class Listener(Protocol):
    """Who is shown a plan: each command line has its own way to print."""

    def shows(self, plan: Plan) -> bool:
        """Print *plan*; False where nobody can have seen it."""
        ...


def turn_on(telemetry: Telemetry, listener: Listener, *, yes: bool) -> Told:
    """
    Show what would be sent and where, ask unless *yes*, and write the answer down.

    Asked is once, on a terminal, and anything but a typed yes is a no. KeyboardInterrupt at the question is passed
    on; nothing was changed then.
    """
    from franklinwh_telemetry.plain import printable  # noqa: PLC0415 - only when there is a question
    from franklinwh_telemetry.plan import Told, plan_on  # noqa: PLC0415

    plan = plan_on(telemetry)
    if isinstance(plan, str):
        return Told([plan], done=False)
    if plan.is_agreed():
        return Told([f"On already: {printable(plan.path)} says so, and nothing was changed."], done=True)
    if not listener.shows(plan):
        return Told(["Nothing was changed: what would be sent could not be shown."], done=False)
    if not yes:
        answer = ask(QUESTION)
        if answer is None:
            return Told([NO_TERMINAL], done=False)
        if not answer:
            return Told(["Nothing was changed; telemetry is as it was."], done=True)
    refused = plan.carry_out()
    if refused is not None:
        return Told(refused.split("\n"), done=False)
    lines = [f"On: {printable(plan.path)} says so. `franklinwh-telemetry off` takes it back."]
    allowed = telemetry.permission()
    if isinstance(allowed, Denied):
        lines.append(f"It stays off all the same: {allowed.explanation}")
    return Told(lines, done=True)


def ask(question: str) -> bool | None:
    """The answer typed on the terminal, yes only if it says so; None where there is no terminal, or it is not ours."""
    from franklinwh_telemetry.plain import write  # noqa: PLC0415 - only when there is a question

    shown = next((stream for stream in (sys.stdout, sys.stderr) if _is_terminal(stream)), None)
    if shown is None or not _is_terminal(sys.stdin) or not is_in_foreground():
        return None
    if write(question, shown) is not None:
        return None
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        write("\n", shown)
    return answer.strip().lower() in ("y", "yes")


def is_in_foreground() -> bool:
    """Whether this process may read what is typed."""
    try:
        return kernel.is_in_foreground(sys.stdin.fileno())
    except (OSError, ValueError):  # no file behind it: nothing can stop us
        return True


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it was closed
        return False


def ask_once(telemetry: Telemetry) -> None:
    """
    Ask the user of *telemetry*'s application once, on a terminal, with default No, and keep the answer.

    Nothing is asked where standard input, output or error is no terminal, in the background, in CI (the variable
    `CI`), for a shell's completion, for `--help` and `--version`, when a variable says no, or when the user has
    answered before; a no is an answer. Ctrl-C and the end of the input count as no answer: the question comes again.
    """
    with guard:
        if _may_ask(telemetry):
            _ask(telemetry)


def _may_ask(telemetry: Telemetry) -> bool:
    if os.environ.get("CI") or system.is_completion(os.environ):
        return False
    if not all(map(_is_terminal, (sys.stdin, sys.stdout, sys.stderr))) or not is_in_foreground():
        return False
    if not _ONLY_TOLD.isdisjoint(sys.argv[1:]) or telemetry.vocabulary.is_informational(sys.argv[1:]):
        return False
    allowed = telemetry.permission()
    return isinstance(allowed, Denied) and allowed.reason in NEVER_ANSWERED


def _ask(telemetry: Telemetry) -> None:
    from franklinwh_telemetry.plain import printable, say, write  # noqa: PLC0415 - only when there is a question
    from franklinwh_telemetry.plan import plan_on  # noqa: PLC0415

    plan = plan_on(telemetry)
    if isinstance(plan, str):
        return
    say(plan.explanation(), sys.stderr)
    write(QUESTION, sys.stderr)
    answer = sys.stdin.readline()
    if not answer:
        return
    told = plan.carry_out() if answer.strip().lower() in ("y", "yes") else plan.decline()
    say([told or f"Kept in {printable(plan.path)}; change it with `franklinwh-telemetry on` or `off`."], sys.stderr)
