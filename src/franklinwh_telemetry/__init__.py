"""
Opt-in telemetry for command-line programs and Home Assistant: five facts about a command, and nothing else.
"""

from franklinwh_telemetry import process as _process  # noqa: F401 - notes the working directory before it changes
from franklinwh_telemetry.consent import Granted, read_consent
from franklinwh_telemetry.denial import Denied
from franklinwh_telemetry.dispatch import dispatch_cli_event
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.vocabulary import Vocabulary

__all__ = ["Denied", "Granted", "Telemetry", "Vocabulary", "dispatch_cli_event", "read_consent"]
