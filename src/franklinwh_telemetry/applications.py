"""
Which applications there are on this machine: registered ones, and those that an ini or the state folder names.
"""

from __future__ import annotations

import json
from typing import Final
from uuid import UUID

from franklinwh_telemetry import inifile
from franklinwh_telemetry.backlog import existing_applications, existing_spools
from franklinwh_telemetry.lookup import parse_application
from franklinwh_telemetry.plan import looked_up
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.vocabularies import franklinwh_cloud
from franklinwh_telemetry.vocabulary import Vocabulary

ENTRY_POINTS: Final = "franklinwh_telemetry.applications"
"""A package registers its application here: the application's name = the module:object of its `Telemetry`."""

_SECTION_START: Final = "telemetry "


def known_applications(config: str | None = None) -> list[Telemetry]:
    """Every application that is known here, franklinwh-cloud first, then by name."""
    own = franklinwh_cloud.APPLICATION
    probe = Telemetry(own, franklinwh_cloud.vocabulary(), config=config)
    names = set(_registered())
    root = probe.state_root()
    if isinstance(root, str):
        names.update(existing_applications(root))
    for path in looked_up(probe):
        found = inifile.read(path, explicit=True)
        if isinstance(found, inifile.Ini):
            names.update(
                name.removeprefix(_SECTION_START) for name in found.sections if name.startswith(_SECTION_START)
            )
    names.discard(own)
    others = sorted(filter(parse_application, names))
    return [probe, *(application_of(name, config) for name in others)]


def application_of(name: str, config: str | None = None) -> Telemetry:
    """
    The telemetry of one application: as it is registered, else as far as it has left traces here.

    Raises ValueError for a name that no application can have.
    """
    if name == franklinwh_cloud.APPLICATION:
        return Telemetry(name, franklinwh_cloud.vocabulary(), config=config)
    registered = _registered().get(name)
    found = _load(registered) if registered is not None else None
    if found is None:
        return Telemetry(name, _remembered_vocabulary(name), config=config)
    if config is not None:
        found.config = config
    return found


def described_application(name: str, config: str | None, description: str) -> Telemetry:
    """
    The application as its own program describes it in JSON, be it registered or not.

    Raises ValueError and KeyError for what is no such description.
    """
    fields = json.loads(description)
    answer = fields["consent"]
    return Telemetry(
        name,
        Vocabulary(fields["commands"]),
        destination=fields["destination"],
        policy_version=fields["policy_version"],
        config=config,
        consent=None if answer is None else lambda: answer is True or UUID(answer),
    )


def _registered() -> dict[str, object]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and only needed here

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _load(point: object) -> Telemetry | None:
    try:
        loaded = point.load()  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - another package's import may raise anything; its traces are still shown
        return None
    found = loaded() if callable(loaded) else loaded
    return found if isinstance(found, Telemetry) else None


def _remembered_vocabulary(name: str) -> Vocabulary:
    """The vocabulary that the application's last record was made with."""
    probe = Telemetry(name, Vocabulary(()))
    root = probe.state_root()
    for spool in existing_spools(root, name) if isinstance(root, str) else ():
        manifest = spool.manifest()
        if manifest is not None:
            return Vocabulary(manifest.commands)
    return probe.vocabulary
