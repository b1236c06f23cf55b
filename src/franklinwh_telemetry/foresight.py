"""
What would refuse the next file, told without making anything.
"""

from __future__ import annotations

import os

from franklinwh_telemetry import kernel, system
from franklinwh_telemetry.statefolder import FolderRefusal, check_folder, ground_of


def foresee(path: str) -> FolderRefusal | None:
    """What would refuse the next file in the folder *path*, made or not, as far as a look can tell; nothing is made."""
    checked = check_folder(path)
    if isinstance(checked, FolderRefusal):
        return checked
    ground = (path, []) if checked else ground_of(path)
    if ground is None:
        return FolderRefusal.NOT_WRITABLE
    if not system.is_own(os.stat(ground[0])):
        return FolderRefusal.FOREIGN_OWNER
    if not kernel.has_room(ground[0]):
        return FolderRefusal.NO_SPACE
    return None if os.access(ground[0], os.W_OK | os.X_OK) else FolderRefusal.NOT_WRITABLE
