"""
The forms: which gateway, and what its user chooses afterwards.
"""

from __future__ import annotations

from typing import Any

import voluptuous as vol
from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigFlowResult, OptionsFlow
from homeassistant.core import callback

from franklinwh_telemetry.integrations.home_assistant import telemetry_field

from .const import CONF_GATEWAY, CONF_SCAN_INTERVAL, DEFAULT_SCAN_INTERVAL_S, DOMAIN


class DemoConfigFlow(ConfigFlow, domain=DOMAIN):
    """Adding a gateway."""

    VERSION = 1

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for its serial number."""
        if user_input is not None:
            await self.async_set_unique_id(user_input[CONF_GATEWAY])
            self._abort_if_unique_id_configured()
            return self.async_create_entry(title="Gateway", data=user_input)
        return self.async_show_form(step_id="user", data_schema=vol.Schema({vol.Required(CONF_GATEWAY): str}))

    @staticmethod
    @callback
    def async_get_options_flow(_config_entry: ConfigEntry[Any]) -> OptionsFlow:
        """What there is to choose."""
        return DemoOptionsFlow()


class DemoOptionsFlow(OptionsFlow):
    """Changing the options; what is saved replaces all of them."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the one form."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        seconds = self.config_entry.options.get(CONF_SCAN_INTERVAL, DEFAULT_SCAN_INTERVAL_S)
        fields = {
            vol.Required(CONF_SCAN_INTERVAL, default=seconds): vol.All(vol.Coerce(int), vol.Range(min=30)),
            **telemetry_field(self.config_entry),
        }
        return self.async_show_form(step_id="init", data_schema=vol.Schema(fields))
