"""
A no: what decided it, in which file or variable, and how to mend it.
"""

from __future__ import annotations

from typing import Final, final

from franklinwh_telemetry.value import Choice, Value


class DenialReason(Choice):
    """What decided that nothing may be recorded, and how that can be mended."""

    NO_INI = "there is no such file, and no other franklinwh.ini that says yes; `on` writes one"
    NO_SECTION = "it has no section for this application; `on` adds it"
    NOT_DECIDED = "its section does not say `enabled`; `on` or `off` decides"
    DISABLED = "it says no; `on` changes that"
    NOT_BOOLEAN = "its `enabled` is neither true nor false; write one of the two"
    UNREADABLE = "it cannot be read; make it a regular file that this user may read"
    MALFORMED = "it is not a well-formed ini file; correct it"
    WORLD_WRITABLE = "everybody on this machine may write to it; take that away with chmod o-w"
    FOREIGN_OWNER = "it belongs to another user; give it to this one, or name it explicitly"
    UUID_NOT_RANDOM = "the execution UUID is not a random one (version 4); take the `uuid` out and one is made"
    POLICY_OUTDATED = "what was agreed to is not the policy of today; read it and answer with `on` or `off`"
    DESTINATION_CHANGED = "what was agreed to is another destination; answer again with `on` or `off`"
    BAD_DESTINATION = "the destination is not usable; correct it"
    DO_NOT_TRACK = "this environment variable asks not to be tracked; unset it if that is not meant"
    SWITCHED_OFF = "this environment variable switches telemetry off; unset it if that is not meant"
    HOST_DECLINED = "the program's own setting does not say yes; switch it on there"


_WITHDRAWALS: Final = frozenset(
    (
        DenialReason.NO_INI,
        DenialReason.NO_SECTION,
        DenialReason.NOT_DECIDED,
        DenialReason.DISABLED,
        DenialReason.HOST_DECLINED,
    ),
)


@final
class Denied(Value):
    """Nothing may be recorded or sent: `where` is the file or variable that decided, `detail` never a secret."""

    __slots__ = ("reason", "where", "detail")  # noqa: RUF023 - the order of the fields
    reason: DenialReason
    where: str
    detail: str

    def __init__(self, reason: DenialReason, where: str, detail: str = "") -> None:
        super().__init__(reason, where, detail)

    @property
    def explanation(self) -> str:
        """One line for people: what decided, why, and how to mend it."""
        detail = f" ({self.detail})" if self.detail else ""
        from franklinwh_telemetry.plain import printable  # noqa: PLC0415 - only for people

        return printable(f"{self.where}: {self.reason.value}{detail}")

    @property
    def is_withdrawal(self) -> bool:
        """Whether this takes the yes back, so that what waits is discarded; otherwise it is kept but not sent."""
        return self.reason in _WITHDRAWALS
