"""
How `franklinwh-cli` 0.6.4 treats words before and after argparse: what it moves, and which spellings are one value.

Reviewed by hand beside the generated grammar; tests compare both with the installed program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HOISTED_FLAGS: Final = (
    "--json",
    "-j",
    "--no-color",
    "--verbose",
    "-v",
    "-vv",
    "-vvv",
    "--api-trace",
    "--installer",
)
"""What the program's `async_main` lifts in front of the subcommand before it parses."""

HOISTED_OPTIONS: Final = (
    "--config",
    "-c",
    "--email",
    "-e",
    "--password",
    "-p",
    "--gateway",
    "-g",
    "--trace",
    "--log-file",
)
"""What it lifts together with the word that follows."""

VALUE_ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "mode --set": {
        "1": "time_of_use",
        "timeofuse": "time_of_use",
        "tou": "time_of_use",
        "2": "self_consumption",
        "selfconsumption": "self_consumption",
        "self": "self_consumption",
        "3": "emergency_backup",
        "emergencybackup": "emergency_backup",
        "emergency": "emergency_backup",
        "backup": "emergency_backup",
    },
    "tou --set": {
        "home_loads": "home",
        "f": "home",
        "b": "standby",
        "solar_charging": "solar",
        "e": "solar",
        "self_consumption": "self",
        "d": "self",
        "grid_discharge": "grid_export",
        "force_discharge": "grid_export",
        "h": "grid_export",
        "grid_import": "grid_charge",
        "force_charge": "grid_charge",
        "g": "grid_charge",
    },
}
"""The spellings that `mode --set` and `tou --set` take for the same."""
