"""
What the modules of this integration agree on.
"""

from __future__ import annotations

from homeassistant.const import Platform

DOMAIN = "franklinwh_demo"
PLATFORMS = [Platform.SELECT, Platform.SWITCH]

CONF_GATEWAY = "gateway"
CONF_SCAN_INTERVAL = "scan_interval"
DEFAULT_SCAN_INTERVAL_S = 60

MODES = ["time_of_use", "self_consumption", "emergency_backup"]
