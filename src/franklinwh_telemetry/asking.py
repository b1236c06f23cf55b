"""
`ask_once`: the first-run question of a program with a terminal, remembered whatever the answer.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.denial import DenialReason, Denied
from franklinwh_telemetry.guard import guard

if TYPE_CHECKING:
    from franklinwh_telemetry.recorder import Telemetry

NEVER_ANSWERED: Final = (DenialReason.NO_INI, DenialReason.NO_SECTION, DenialReason.NOT_DECIDED)

_ONLY_TOLD: Final = frozenset(("-h", "--help", "--version"))

QUESTION: Final = "Share these five facts about each command? [y/N] "


def ask_once(telemetry: Telemetry) -> None:
    """
    Ask the user of *telemetry*'s application once, on a terminal, with default No, and keep the answer.

    Nothing is asked where standard input, output or error is no terminal, in CI (the variable `CI`), for a shell's
    completion, for `--help` and `--version`, when a variable says no, or when the user has answered before; a no is
    an answer. Ctrl-C and the end of the input count as no answer: the question comes again.
    """
    with guard:
        if _may_ask(telemetry):
            _ask(telemetry)


def _may_ask(telemetry: Telemetry) -> bool:
    from franklinwh_telemetry.recorder import is_completion  # noqa: PLC0415 - asked for rarely

    if os.environ.get("CI") or is_completion(os.environ):
        return False
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return False
    if not _ONLY_TOLD.isdisjoint(sys.argv[1:]) or telemetry.vocabulary.is_informational(sys.argv[1:]):
        return False
    allowed = telemetry.permission()
    return isinstance(allowed, Denied) and allowed.reason in NEVER_ANSWERED


def _ask(telemetry: Telemetry) -> None:
    from franklinwh_telemetry.consenting import plan_on  # noqa: PLC0415 - only when there is a question

    plan = plan_on(telemetry)
    if isinstance(plan, str):
        return
    sys.stderr.write("\n".join([*plan.explanation(), QUESTION]))
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        return
    told = plan.carry_out() if answer.strip().lower() in ("y", "yes") else plan.decline()
    sys.stderr.write(f"{told or f'Kept in {plan.path}.'}\n")
