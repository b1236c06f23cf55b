"""
The smart circuit, as something to switch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeassistant.components.switch import SwitchEntity

from franklinwh_telemetry.integrations.home_assistant import action

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
    """Add the circuit of one gateway."""
    async_add_entities([CircuitSwitch(entry.runtime_data, "circuit")])


class CircuitSwitch(DemoEntity, SwitchEntity):
    """The smart circuit."""

    @property
    def is_on(self) -> bool:
        """Whether it was on at the last look."""
        return bool(self.coordinator.data["circuits"][1])

    @action("turn_on")
    async def async_turn_on(self, **_options: Any) -> None:
        """Switch it on."""
        await self.coordinator.client.set_smart_circuit_state(1, turn_on=True)
        await self.coordinator.async_request_refresh()

    @action("turn_off")
    async def async_turn_off(self, **_options: Any) -> None:
        """Switch it off."""
        await self.coordinator.client.set_smart_circuit_state(1, turn_on=False)
        await self.coordinator.async_request_refresh()
