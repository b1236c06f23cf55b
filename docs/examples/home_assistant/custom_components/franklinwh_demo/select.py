"""
The operating mode, as something to choose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeassistant.components.select import SelectEntity

from franklinwh_telemetry.integrations.home_assistant import action

from .const import MODES
from .coordinator import DemoCoordinator, DemoEntity

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: ConfigEntry[DemoCoordinator],
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the mode of one gateway."""
    async_add_entities([ModeSelect(entry.runtime_data, "mode")])


class ModeSelect(DemoEntity, SelectEntity):
    """The operating mode."""

    _attr_options = MODES

    @property
    def current_option(self) -> str:
        """The mode at the last look."""
        mode: Any = self.coordinator.data["mode"]
        return str(mode)

    @action("select_mode")
    async def async_select_option(self, option: str) -> None:
        """Choose a mode."""
        await self.coordinator.client.set_mode(option)
        await self.coordinator.async_request_refresh()
