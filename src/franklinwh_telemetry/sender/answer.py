"""What came back for a request, reduced to what is asked of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from franklinwh_telemetry.sender.exchange import WireError

MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_RETRY_AFTER_S: Final = 24 * 60 * 60.0

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What came back: *status* is None where nothing did, and *error* says why, or why *body* is not whole.

    *content_type* is the media type alone, in lower case; *body* is cut at 64 KiB (`ANSWER_TOO_LARGE`);
    *retry_after_s* is at most a day.
    """

    status: int | None = None
    content_type: str = ""
    body: bytes = b""
    retry_after_s: float | None = None
    error: WireError | None = None


def parse_retry_after(text: str, now_s: float) -> float | None:
    """Seconds, or the date, of a Retry-After header; None for anything else, never more than a day."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        wanted_s = parsedate_to_datetime(text).timestamp() - now_s
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, min(wanted_s, MAX_RETRY_AFTER_S))


def media_type(text: str) -> str:
    """Return the media type of a Content-Type header, in lower case; empty for what is none."""
    found = text.partition(";")[0].strip().lower()
    return found if _MEDIA_TYPE.fullmatch(found) else ""
