"""A service on loopback that answers each request by itself: what the doubles of real ones stand on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from franklinwh_telemetry.sender.loopback import LoopbackReceiver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from franklinwh_telemetry.sender.loopback import ReceivedRequest


class Service(ABC):
    """A context manager; `receiver` has what arrived, and a subclass says what `_answer` is."""

    def __init__(self) -> None:
        self.receiver = LoopbackReceiver(self._answer)

    def __enter__(self) -> Self:
        self.receiver.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.receiver.__exit__(*exception)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.receiver.url

    @abstractmethod
    def _answer(self, request: ReceivedRequest) -> Iterable[bytes]:
        """The bytes of the answer, in as many parts as it likes."""
