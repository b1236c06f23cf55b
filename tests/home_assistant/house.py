"""
A Home Assistant with gateways in it, and what they have left on the disk.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from franklinwh_telemetry.backlog import Backlog, existing_spools

DOMAIN = "franklinwh_demo"

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "home_assistant" / "custom_components"


class House:
    """A running Home Assistant."""

    def __init__(self, hass: Any) -> None:
        self.hass = hass
        self.config = Path(hass.config.config_dir)
        self.storage = self.config / ".storage"

    async def add(self, serial: str, **options: object) -> Gateway:
        """Set up a gateway with these options."""
        entry = MockConfigEntry(domain=DOMAIN, title=serial, unique_id=serial, data={"gateway": serial})
        entry.add_to_hass(self.hass)
        if options:
            self.hass.config_entries.async_update_entry(entry, options=options)
        assert await self.hass.config_entries.async_setup(entry.entry_id)
        await self.hass.async_block_till_done()
        return Gateway(self, entry)

    async def pass_minutes(self, minutes: int) -> None:
        """Let time pass, and what is due then be done."""
        async_fire_time_changed(self.hass, dt_util.utcnow() + timedelta(minutes=minutes, seconds=1))
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def stop(self) -> None:
        """Tell everybody that Home Assistant stops, as it does without unloading anything."""
        self.hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        await self.hass.async_block_till_done()

    def say(self, ini: str) -> None:
        """Write the ini in the configuration folder."""
        (self.config / "franklinwh.ini").write_text(ini)


class Gateway:
    """One gateway: its config entry, and what is kept of it."""

    def __init__(self, house: House, entry: Any) -> None:
        self.house = house
        self.hass = house.hass
        self.entry = entry
        self.folder = house.storage / "franklinwh_telemetry" / entry.entry_id

    @property
    def client(self) -> Any:
        return self.entry.runtime_data.client

    @property
    def telemetry(self) -> Any:
        return self.hass.data["franklinwh_telemetry"][self.entry.entry_id]

    @property
    def queued(self) -> list[Any]:
        """The records that wait in memory."""
        return list(self.telemetry._queue or ())

    @property
    def uuid(self) -> str | None:
        """The UUID in Home Assistant's store."""
        path = self.folder / "execution_uuid"
        return json.loads(path.read_text())["data"]["execution_uuid"] if path.exists() else None

    @property
    def spools(self) -> list[Backlog]:
        return list(existing_spools(str(self.folder / "franklinwh-telemetry"), DOMAIN))

    @property
    def waiting(self) -> list[dict[str, Any]]:
        """The records that wait on the disk."""
        return [json.loads(spool.read(name) or b"") for spool in self.spools for name in spool.names()]

    @property
    def told(self) -> list[tuple[str, bool]]:
        """Each command with its success, in the order of the alphabet."""
        return sorted((record["command"], record["success"]) for record in self.waiting)

    def entity_id(self, platform: str) -> str:
        """The entity of this gateway that is of this platform."""
        entities = entity_registry.async_entries_for_config_entry(
            entity_registry.async_get(self.hass), self.entry.entry_id
        )
        return next(entity.entity_id for entity in entities if entity.domain == platform)

    def device_id(self) -> str:
        devices = device_registry.async_entries_for_config_entry(
            device_registry.async_get(self.hass), self.entry.entry_id
        )
        return devices[0].id

    async def set_mode(self, mode: str = "self_consumption") -> None:
        """Call the service."""
        data = {"config_entry_id": self.entry.entry_id, "mode": mode}
        await self.hass.services.async_call(DOMAIN, "set_mode", data, blocking=True)

    async def select(self, option: str = "emergency_backup") -> None:
        data = {"entity_id": self.entity_id("select"), "option": option}
        await self.hass.services.async_call("select", "select_option", data, blocking=True)

    async def turn(self, state: str) -> None:
        data = {"entity_id": self.entity_id("switch")}
        await self.hass.services.async_call("switch", f"turn_{state}", data, blocking=True)

    async def choose(self, **options: object) -> None:
        """Change the options, as code does."""
        self.hass.config_entries.async_update_entry(self.entry, options=options)
        await self.hass.async_block_till_done()

    async def flush(self) -> None:
        """Let the flush of every quarter of an hour come."""
        await self.house.pass_minutes(15)
