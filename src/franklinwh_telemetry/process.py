"""
Where this process began, noted before the program can change it.
"""

from __future__ import annotations

import contextlib
import os

STARTED_IN = ""
"""The working directory at our first import; empty where it was gone already."""

with contextlib.suppress(OSError):
    STARTED_IN = os.getcwd()
