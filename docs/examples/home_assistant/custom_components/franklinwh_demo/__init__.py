"""
An example of an integration that tells, of users who said yes, which of its actions they use and which fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import voluptuous as vol
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from franklinwh_telemetry.integrations.home_assistant import action, async_setup_telemetry

from .client import Client
from .const import CONF_GATEWAY, DOMAIN, PLATFORMS
from .coordinator import DemoCoordinator

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant, ServiceCall
    from homeassistant.helpers.typing import ConfigType

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

SET_MODE_SCHEMA = vol.Schema(
    {
        vol.Required("config_entry_id"): cv.string,
        vol.Required("mode"): cv.string,
        vol.Optional("reserve"): vol.All(vol.Coerce(int), vol.Range(min=5, max=100)),
    },
)


async def async_setup(hass: HomeAssistant, _config: ConfigType) -> bool:
    """Register the service, which is there whether or not an entry is loaded."""
    hass.services.async_register(DOMAIN, "set_mode", async_set_mode, SET_MODE_SCHEMA)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: ConfigEntry[DemoCoordinator]) -> bool:
    """Set up one gateway."""
    await async_setup_telemetry(hass, entry, ["set_mode", "select_mode", "turn_on", "turn_off"])
    entry.runtime_data = DemoCoordinator(hass, entry, Client(entry.data[CONF_GATEWAY]))
    await entry.runtime_data.async_config_entry_first_refresh()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: ConfigEntry[DemoCoordinator]) -> bool:
    """Take one gateway down."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


@action("set_mode")
async def async_set_mode(call: ServiceCall) -> None:
    """Choose the operating mode of a gateway."""
    entry = call.hass.config_entries.async_get_entry(call.data["config_entry_id"])
    if entry is None or entry.domain != DOMAIN or entry.state is not ConfigEntryState.LOADED:
        raise ServiceValidationError("There is no such gateway, or it is not loaded")
    await entry.runtime_data.client.set_mode(call.data["mode"], call.data.get("reserve"))
    await entry.runtime_data.async_request_refresh()
