"""
The file of a manifest: parsed, and written beside what other programs have put there under the same yes.
"""

from __future__ import annotations

import json
import os
from typing import Final

from franklinwh_telemetry.address import BadDestination
from franklinwh_telemetry.destination import Destination
from franklinwh_telemetry.spool import APPLICATION, ARGUMENT, INI, MANIFEST_VERSION, MAX_MANIFEST_BYTES, Manifest
from franklinwh_telemetry.statefolder import read_small, replace, write_once

_LOCK_WAIT_S: Final = 1.0
"""Another program holds the lock for less than a millisecond; one that was stopped there is not waited for."""


def parse_manifest(data: bytes) -> Manifest | None:
    """Parse what `Manifest.encode` wrote; None for anything else."""
    try:
        fields = json.loads(data.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.get("v") != MANIFEST_VERSION:
        return None
    application, source, explicit = fields.get("application"), fields.get("source"), fields.get("explicit")
    policy_version, commands = fields.get("policy_version"), fields.get("commands")
    route, routed = fields.get("destination"), fields.get("routed_by")
    destination = Destination.from_fields(route) if isinstance(route, dict) else None
    if (
        not isinstance(application, str)
        or not isinstance(source, str)
        or not isinstance(explicit, bool)
        or routed not in (ARGUMENT, INI, APPLICATION)
        or type(policy_version) is not int
        or not isinstance(commands, list)
        or not all(isinstance(command, str) for command in commands)
        or destination is None
        or isinstance(destination, BadDestination)
    ):
        return None
    return Manifest(
        application=application,
        source=source,
        explicit=explicit,
        policy_version=policy_version,
        destination=destination,
        routed_by=routed,
        commands=tuple(commands),
    )


def write_manifest(manifest: Manifest, folder: str, found: bytes | None) -> None:
    """
    Put *manifest* into the folder of a spool, beside the commands of programs that do so at the same moment.

    Nothing is written where what was *found* there names its commands already. The first one is made in one step; who
    finds another one there changes it under a lock, held for as long as a small file takes to be read and written.
    """
    if found is not None and found == _kept_with(manifest, found):
        return
    path = os.path.join(folder, "manifest.json")
    if not os.path.lexists(path) and write_once(path, manifest.encode()):
        return
    from franklinwh_telemetry.lock import Lock  # noqa: PLC0415 - only where two programs differ

    lock = Lock(os.path.join(folder, "manifest.lock"))
    lock.acquire(_LOCK_WAIT_S)
    try:
        replace(path, _kept_with(manifest, read_small(path, MAX_MANIFEST_BYTES)))
    finally:
        lock.release()


def _kept_with(manifest: Manifest, found: bytes | None) -> bytes:
    """
    The bytes of *manifest*, with the commands that the one *found* lists besides, unless they are too many.

    Programs of one application may record different commands under one yes, and a record that waits must not be
    refused because another program ran after it.
    """
    encoded = manifest.encode()
    kept = parse_manifest(found) if found is not None and found != encoded else None
    merged = encoded if kept is None else _with_commands_of(manifest, kept).encode()
    return merged if len(merged) <= MAX_MANIFEST_BYTES else encoded


def _with_commands_of(manifest: Manifest, other: Manifest) -> Manifest:
    """*manifest* with the other's commands in front, for two programs that record different ones under one yes."""
    known = set(other.commands)
    added = tuple(command for command in manifest.commands if command not in known)
    return Manifest(
        application=manifest.application,
        source=manifest.source,
        explicit=manifest.explicit,
        policy_version=manifest.policy_version,
        destination=manifest.destination,
        routed_by=manifest.routed_by,
        commands=(*other.commands, *added),
    )
