"""
Opt-in telemetry for command-line programs and Home Assistant: five facts about a command, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from franklinwh_telemetry import system as _system  # noqa: F401 - notes the working directory before it changes
from franklinwh_telemetry.consent import Granted, read_consent
from franklinwh_telemetry.lookup import Denied
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from franklinwh_telemetry.dispatch import dispatch_cli_event

__all__ = ["Denied", "Granted", "Telemetry", "Vocabulary", "dispatch_cli_event", "read_consent"]


def __getattr__(name: str) -> object:
    """Import the policy's hook where it is asked for: most programs have no use for it beside `Telemetry`."""
    if name == "dispatch_cli_event":
        from franklinwh_telemetry.dispatch import dispatch_cli_event  # noqa: PLC0415

        globals()[name] = dispatch_cli_event
        return dispatch_cli_event
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
