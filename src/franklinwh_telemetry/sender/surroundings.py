"""What a sender's process must shed before OpenTelemetry is imported: its variables and its voice."""

from __future__ import annotations

import logging
import os
from typing import Final

_TALKATIVE: Final = ("opentelemetry", "requests", "urllib3")


def forget_otel_environment() -> None:
    """
    Drop every `OTEL_*` variable of this process.

    Some reach into the SDK where no argument can keep them out: a header, a client certificate, a switch.
    """
    for name in tuple(os.environ):
        if name.upper().startswith("OTEL_"):
            del os.environ[name]


def silence_libraries() -> None:
    """Let the libraries log to nobody: a sender says what happened in its status, and never on a terminal."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
