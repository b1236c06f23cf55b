"""How large the proofs are: small by default, whole where PROOF_SCALE is `full`."""

from __future__ import annotations

import os

_SCALE = os.environ.get("PROOF_SCALE", "")
if _SCALE not in ("", "full"):
    raise ValueError(f"PROOF_SCALE is {_SCALE!r}: set it to full, or unset it")

FULL = _SCALE == "full"


def at_scale(small: int, full: int) -> int:
    """The number that belongs to the scale."""
    return full if FULL else small
