"""
What a user may paste in public.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeassistant.components.diagnostics import async_redact_data

from franklinwh_telemetry.integrations.home_assistant import async_telemetry_diagnostics

from .const import CONF_GATEWAY

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str, Any]:
    """The entry without its serial number, and what telemetry does."""
    return {
        "entry": async_redact_data(entry.as_dict(), {CONF_GATEWAY, "unique_id"}),
        "telemetry": await async_telemetry_diagnostics(hass, entry),
    }
