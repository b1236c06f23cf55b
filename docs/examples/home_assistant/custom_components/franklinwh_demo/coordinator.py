"""
The polling of one gateway, which telemetry leaves alone.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.update_coordinator import CoordinatorEntity, DataUpdateCoordinator

from .const import CONF_SCAN_INTERVAL, DEFAULT_SCAN_INTERVAL_S, DOMAIN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .client import Client


class DemoCoordinator(DataUpdateCoordinator[dict[str, Any]]):
    """What the entities of one gateway share."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any], client: Client) -> None:
        self.client = client
        seconds = entry.options.get(CONF_SCAN_INTERVAL, DEFAULT_SCAN_INTERVAL_S)
        super().__init__(
            hass,
            logging.getLogger(__name__),
            name=DOMAIN,
            config_entry=entry,
            update_interval=timedelta(seconds=seconds),
        )

    async def _async_update_data(self) -> dict[str, Any]:
        return await self.client.get_stats()


class DemoEntity(CoordinatorEntity[DemoCoordinator]):
    """What belongs to one gateway."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: DemoCoordinator, key: str) -> None:
        super().__init__(coordinator)
        gateway = coordinator.client.gateway
        self._attr_translation_key = key
        self._attr_unique_id = f"{gateway}_{key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, gateway)}, name="Gateway")
