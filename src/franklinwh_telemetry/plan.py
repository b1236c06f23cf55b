"""
A plan: what `on` would write and where, and what a person should know before saying yes; nothing is written yet.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, final

from franklinwh_telemetry import event, iniedit, inifile, system
from franklinwh_telemetry.address import BadDestination
from franklinwh_telemetry.consent import HOST, ROUTING_KEYS
from franklinwh_telemetry.destination import FILE, choose
from franklinwh_telemetry.lookup import HOME_INI, Denied, ini_paths
from franklinwh_telemetry.permission import uuid_path
from franklinwh_telemetry.plain import facts_lines, moment, printable
from franklinwh_telemetry.statefolder import read_small

if TYPE_CHECKING:
    from uuid import UUID

    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.recorder import Telemetry
    from franklinwh_telemetry.vocabulary import Vocabulary

UPSTREAM_APPLICATION: Final = "franklinwh-cloud"
UPSTREAM_WARNING: Final = (
    "Careful: a plain `franklinwh-cli` up to 0.6.4 reads the same switch in this file and then sends its own event, "
    "with your Python and operating system versions in it. Start it as `franklinwh-telemetry run franklinwh-cli ...`, "
    "which keeps that event back."
)
UUID_NOTE: Final = "random; it stands for this installation, not for you"

LABEL_WIDTH: Final = 20
"""As wide as the longest name of a fact."""

EXAMPLE_COMMAND: Final = "status"
EXAMPLE_LATENCY_MS: Final = 412


def example_event(vocabulary: Vocabulary, execution_uuid: UUID) -> event.CommandEvent:
    """An event such as a command of this application would leave: `status` if it has one, a moment ago."""
    first = vocabulary.commands[0] if vocabulary.commands else ""
    return event.CommandEvent(
        command=vocabulary.member(EXAMPLE_COMMAND) or vocabulary.member(first) or vocabulary.other,
        executed_at_ms=event.clamp_executed_at_ms(time.time_ns() // 1_000_000 - EXAMPLE_LATENCY_MS),
        execution_latency_ms=EXAMPLE_LATENCY_MS,
        success=True,
        execution_uuid=execution_uuid,
    )


@final
class Told:
    """What was done, in lines for a person, and whether all of it could be done."""

    __slots__ = ("done", "lines")

    def __init__(self, lines: list[str], *, done: bool) -> None:
        self.lines = lines
        self.done = done


@final
class Plan:
    """What `on` would write, and where; nothing is written before `carry_out`."""

    def __init__(self, telemetry: Telemetry, path: str, destination: Destination, execution_uuid: UUID) -> None:
        self.application = telemetry.application
        self.path = path
        self.destination = destination
        self.execution_uuid = execution_uuid
        self._telemetry = telemetry

    def facts(self) -> list[tuple[str, str]]:
        """The five facts, by an example of the user's own."""
        recorded = example_event(self._telemetry.vocabulary, self.execution_uuid)
        return [
            ("command", recorded.command.text),
            ("executed timestamp", moment(recorded.executed_at_ms)),
            ("execution latency", f"{recorded.execution_latency_ms} ms"),
            ("success", "true"),
            ("execution UUID", f"{self.execution_uuid}  ({UUID_NOTE})"),
        ]

    def remarks(self) -> list[str]:
        """Where they would go, by which policy, and what else a person should know, a line each."""
        lines = [
            f"They would go to: {self.destination.describe()}",
            f"Policy version: {self._telemetry.policy_version}. The answer is kept in {printable(self.path)}.",
            "See them with `franklinwh-telemetry show`; the receiver also sees the connection's address and time.",
        ]
        if self.destination == FILE:
            lines[2] = "Nothing leaves this machine. See them with `franklinwh-telemetry show`."
        if self.application == UPSTREAM_APPLICATION:
            lines.append(UPSTREAM_WARNING)
        return lines

    @property
    def heading(self) -> str:
        """What the facts are."""
        return f"Each command of {self.application} would leave five facts, and nothing else:"

    def explanation(self) -> list[str]:
        """What a person should know before saying yes, a line each."""
        return [self.heading, *facts_lines(self.facts(), LABEL_WIDTH), *self.remarks()]

    def is_agreed(self) -> bool:
        """Whether the user has said yes to this very policy and destination, so that there is nothing to ask."""
        allowed = self._telemetry.permission()
        if isinstance(allowed, Denied) or allowed.granted.source == HOST:
            return False
        agreed = (allowed.granted.policy, allowed.granted.consented_host, allowed.destination)
        return agreed == (self._telemetry.policy_version, self.destination.host, self.destination)

    def carry_out(self) -> str | None:
        """Write the consent; None, or what refused it with the lines to add by hand."""
        section = inifile.section_name(self._telemetry.application)
        changes = {
            "enabled": "true",
            "uuid": str(self.execution_uuid),
            "since": datetime.now(timezone.utc).date().isoformat(),
            "policy": str(self._telemetry.policy_version),
            "destination": self.destination.host,
        }
        return edit(self.path, section, changes)

    def decline(self) -> str | None:
        """Write a no, so that nobody asks again; None, or what refused it."""
        return edit(self.path, inifile.section_name(self._telemetry.application), {"enabled": "false"})


def plan_on(telemetry: Telemetry) -> Plan | str:
    """What turning *telemetry* on would mean; a one-line text where it cannot be turned on."""
    path = _path_to_write(telemetry)
    if path is None:
        return "there is no home folder to keep the answer in; name a file with --config"
    found = inifile.read(path, explicit=True)
    if isinstance(found, inifile.IniProblem):
        detail = f": {found.detail}" if found.detail else ""
        return printable(f"{path}: {found.kind.value}{detail}; mend it and try again")
    section = found.sections.get(inifile.section_name(telemetry.application), {}) if found is not None else {}
    routing = {key: section[key] for key in ROUTING_KEYS if key in section}
    destination = choose(routing, literal=telemetry.literal)
    if isinstance(destination, BadDestination):
        return printable(f"{path}: {destination.message}")
    source = found.path if found is not None else os.path.realpath(path)
    kept = event.parse_execution_uuid(section.get("uuid", "")) or _assigned(telemetry, source)
    return Plan(telemetry, path, destination, kept or event.draw_execution_uuid(os.urandom))


def _assigned(telemetry: Telemetry, source: str) -> UUID | None:
    """The UUID that a command was given under a yes written by hand, so that one installation stays one."""
    root = telemetry.state_root()
    kept = read_small(uuid_path(root, telemetry.application, source), 64) if isinstance(root, str) else None
    return event.parse_execution_uuid((kept or b"").decode("ascii", "replace"))


def edit(path: str, section: str, changes: dict[str, str | None] | dict[str, str]) -> str | None:
    """Change *section* of an ini; None, or what refused it with the lines to add by hand."""
    edited = iniedit.edit(path, section, changes)
    if isinstance(edited, iniedit.Edited):
        return None
    lines = "\n".join(edited.lines)
    detail = f" ({edited.detail})" if edited.detail else ""
    return (
        f"{printable(path)} was not changed: {edited.reason.value}{detail}. Put these lines into it by hand:\n{lines}"
    )


def looked_up(telemetry: Telemetry) -> list[str]:
    """The inis in which *telemetry*'s user may have answered, absolute, in their order."""
    if system.only_ini is not None:
        return [system.only_ini(telemetry.application)]
    return [os.path.abspath(path) for path, _named in ini_paths(telemetry.config, os.environ)]


def _path_to_write(telemetry: Telemetry) -> str | None:
    """The file named, else the first looked up that speaks of telemetry, else the first there is, else home's."""
    paths = looked_up(telemetry)
    if telemetry.config:
        return paths[0]
    section = inifile.section_name(telemetry.application)
    there = [(path, inifile.read(path, explicit=True)) for path in paths]
    for path, found in there:
        if isinstance(found, inifile.Ini) and section in found.sections:
            return path
    for path, found in there:
        if found is not None:
            return path
    return next((path for path in paths if os.path.basename(path) == HOME_INI), None)
