"""Acknowledgement: what the destination's own answer says of each record, never what the SDK makes of it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from franklinwh_telemetry.sender import spans
from franklinwh_telemetry.sender.exchange import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from franklinwh_telemetry.event import Record
    from franklinwh_telemetry.sender.answer import Answer

DIFFERS: Final = "span differs from its record"
REJECTED: Final = "rejected by the destination"
UNWRITABLE: Final = "the protocol cannot express it"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The destination took the records, all but *rejected* of them."""

    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The destination will not take these records together; alone, those that are not to blame may still pass."""

    why: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    Why records stay: "temporary" passes by itself, "destination" needs a person, "withdrawn" is no longer wanted.

    "local" is a fault on this machine. *message* is one line, holds no secret, and names the host and the remedy.
    """

    kind: Literal["temporary", "destination", "withdrawn", "local"]
    message: str
    retry_after_s: float | None = None


Verdict = Accepted | Refused | Trouble


class Outcome(Protocol):
    """
    Who is told, at once, what became of each record.

    Called from whichever thread exports, one call at a time; never again once `deliver` has returned.
    """

    def accepted(self, records: Sequence[Record]) -> None:
        """These have arrived."""

    def refused(self, record: Record, why: str) -> None:
        """This one will never be taken; *why* is one of the few texts in this module."""

    def kept(self, trouble: Trouble) -> None:
        """Everything that was not accepted or refused stays, for this reason; said once for each `deliver`."""


class AcknowledgingSpanExporter(SpanExporter):
    """
    Takes batches from the SDK's processor and settles every record in them; `post` speaks the protocol.

    After the first `Trouble` nothing more leaves until `begin` is called again.
    """

    def __init__(self, *, application: str, host: str, may_send: Callable[[], bool], outcome: Outcome) -> None:
        self._application = application
        self._host = host
        self._may_send = may_send
        self._outcome = outcome
        self._expected: dict[int, Record] = {}
        self.trouble: Trouble | None = None

    @abstractmethod
    def post(self, batch: Sequence[tuple[ReadableSpan, Record]]) -> Verdict:
        """Make one request for *batch* and say what its answer means."""

    def begin(self) -> None:
        """Forget the trouble and the unsettled records of an earlier delivery."""
        self._expected.clear()
        self.trouble = None

    def expect(self, record: Record) -> None:
        """Say that the span of *record* is about to be made."""
        self._expected[record.span_id] = record

    def finish(self) -> None:
        """Say so if the SDK lost a span on the way: its record stays."""
        if self._expected and self.trouble is None:
            self._keep(Trouble("local", f"OpenTelemetry lost {len(self._expected)} spans on the way to {self._host}"))

    def export(self, spans_: Sequence[ReadableSpan]) -> SpanExportResult:
        """Settle a batch; the result is for the SDK, which nobody asks."""
        batch = self._compare(spans_)
        if self.trouble is None and batch:
            try:
                self._settle(batch)
            except Exception as error:  # noqa: BLE001 - the SDK would swallow it, and the records with it
                self._keep(Trouble("local", f"an error in the sender for {self._host}: {type(error).__name__}"))
        return SpanExportResult.SUCCESS if self.trouble is None else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is buffered."""
        del timeout_millis
        return True

    def _compare(self, spans_: Sequence[ReadableSpan]) -> list[tuple[ReadableSpan, Record]]:
        batch: list[tuple[ReadableSpan, Record]] = []
        for span in spans_:
            record = self._expected.get(span.context.span_id) if span.context is not None else None
            if record is None:
                continue
            if spans.matches(span, record, self._application):
                batch.append((span, record))
            else:
                self._refuse(record, DIFFERS)
        return batch

    def _settle(self, batch: list[tuple[ReadableSpan, Record]]) -> None:
        """Post, and halve what is refused, until only single records are; an explicit stack, oldest first."""
        waiting = [batch]
        while waiting:
            part = waiting.pop()
            verdict = self.post(part) if self._may_send() else withdrawn(self._host)
            if isinstance(verdict, Trouble):
                self._keep(verdict)
                return
            if isinstance(verdict, Accepted):
                self._accept([record for _span, record in part], verdict.rejected)
            elif len(part) == 1:
                self._refuse(part[0][1], verdict.why)
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]

    def _accept(self, records: list[Record], rejected: int) -> None:
        """Which ones were rejected is not said: as many are counted so, and all have been answered."""
        taken = len(records) - min(max(rejected, 0), len(records))
        for record in records[:taken]:
            self._expected.pop(record.span_id, None)
        if taken:
            self._outcome.accepted(records[:taken])
        for record in records[taken:]:
            self._refuse(record, REJECTED)

    def _refuse(self, record: Record, why: str) -> None:
        self._expected.pop(record.span_id, None)
        self._outcome.refused(record, why)

    def _keep(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self._outcome.kept(trouble)


def withdrawn(host: str) -> Trouble:
    """The yes under which records waited does not stand any more."""
    return Trouble("withdrawn", f"nothing more is sent to {host}: consent was withdrawn or changed")


_TEMPORARY: Final = frozenset((408, 429))
_REFUSING: Final = frozenset((400, 413, 422))

_REMEDIES: Final = {
    401: "it asks for credentials that are never sent to it; check the destination",
    403: "it does not let this sender in; check the destination",
    404: "nothing takes events under this address; check the destination",
    407: "a proxy asks for credentials; check the proxy variables",
}


def judge(answer: Answer, host: str, read: Callable[[Answer], Accepted | None]) -> Verdict:
    """
    What an answer means, by its status; *read* decodes a protocol's own answer, None if it is not one.

    A 2xx that is not the protocol's is a foreign one: a captive portal, or a wrong address.
    """
    status = answer.status
    if status is None or answer.error not in (None, WireError.ANSWER_TOO_LARGE):
        return judge_error(answer.error or WireError.CONNECTION_BROKEN, host)
    if status in _REFUSING:
        return Refused(f"refused with status {status}")
    if status in _TEMPORARY or 500 <= status <= 599:  # noqa: PLR2004 - the class of status codes
        return Trouble("temporary", f"{host} answered {status}; it is asked again later", answer.retry_after_s)
    if 200 <= status <= 299:  # noqa: PLR2004 - the class of status codes
        accepted = read(answer) if answer.error is None else None
        if accepted is not None:
            return accepted
        remedy = "but not as this protocol does; log in to the network if it asks for it, else check the destination"
        return Trouble("destination", f"{host} answered {status}, {remedy}")
    if 300 <= status <= 399:  # noqa: PLR2004 - the class of status codes
        remedy = "a redirect, which is never followed; check the destination"
    else:
        remedy = _REMEDIES.get(status, "which no receiver of events should; check the destination")
    return Trouble("destination", f"{host} answered {status}: {remedy}")


_LATER: Final = "it is tried again later; if that stays so, check the destination"

_ERRORS: Final[dict[WireError, tuple[Literal["temporary", "destination", "local"], str]]] = {
    WireError.REFUSED: ("temporary", f"the connection was refused; {_LATER}"),
    WireError.TIMED_OUT: ("temporary", f"no answer in time; {_LATER}"),
    WireError.NAME_NOT_FOUND: ("temporary", f"its name was not found; {_LATER}"),
    WireError.TLS_NOT_VERIFIED: (
        "temporary",
        "its certificate could not be verified; if that stays so, name the authority in SSL_CERT_FILE",
    ),
    WireError.CONNECTION_BROKEN: ("temporary", f"the connection broke; {_LATER}"),
    WireError.ANSWER_TOO_LARGE: (
        "destination",
        "its answer is too large for a receiver of events; check the destination",
    ),
    WireError.PROXY: ("temporary", "the proxy did not connect; check the proxy variables, or NO_PROXY"),
    WireError.JOURNAL: (
        "local",
        "nothing was sent, because the journal cannot be written; check space and permissions",
    ),
    WireError.HEADERS: ("local", "nothing was sent, because the request was not exactly as it must be; report this"),
    WireError.PLAIN_HTTP: ("destination", "plain http is not allowed; use https, or allow_http in one's own network"),
    WireError.FOREIGN_URL: ("local", "nothing was sent, because the address was not the destination's; report this"),
}


def judge_error(error: WireError, host: str) -> Trouble:
    """What it means that there was no answer, or not all of it."""
    if error is WireError.WITHDRAWN:
        return withdrawn(host)
    kind, text = _ERRORS[error]
    return Trouble(kind, f"{host}: {text}")
