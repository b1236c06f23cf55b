"""
A short name for what is too long for a folder's; it is used only on this machine.
"""

from __future__ import annotations

import contextlib


def short_name(text: str) -> str:
    """Sixteen hexadecimal digits that stand for *text* alone."""
    # Loaded while no file can be opened, `hashlib` would set up the program's logging, to print that this one is
    # missing: so it comes first, and its error is ours. A Python may be built without it.
    with contextlib.suppress(ModuleNotFoundError):
        import _blake2  # noqa: F401, PLC0415
    import hashlib  # noqa: PLC0415 - only once there is a yes

    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
