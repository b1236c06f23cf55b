from __future__ import annotations

import asyncio
import contextlib
import inspect

import pytest
from franklinwh_cloud.client import Client
from franklinwh_cloud.models import empty_stats

from franklinwh_telemetry.integrations.franklinwh_cloud import instrument, uninstrument
from franklinwh_telemetry.integrations.franklinwh_cloud_calls import READING_PAUSE_S, tells_of_failure
from franklinwh_telemetry.testing import capture_events

ENABLED = ["get_stats", "get_mode", "set_mode", "get_weather"]


class Stub(Client):
    """The real client's class, without the connection that its constructor makes."""

    def __init__(self, answers=()):
        self.url_base, self.gateway = "https://cloud.example/", "SN"
        self._answers_to_come = list(answers)


@pytest.fixture
def captured(monkeypatch):
    """What is recorded of a client whose requests are answered from `Stub`'s list, four methods being enabled."""

    async def ask(self, *_arguments, **_keywords):
        answer = self._answers_to_come.pop(0) if self._answers_to_come else {"code": 200, "result": {}}
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def get_stats(self):
        return (await self._get("x"))["result"]

    monkeypatch.setattr(Client, "get_stats", get_stats)
    monkeypatch.setattr(Client, "_get", ask)
    monkeypatch.setattr(Client, "_post", ask)
    with capture_events() as found:
        instrument(methods=ENABLED)
        yield found
        uninstrument()


def test_only_what_is_enabled_is_recorded(captured):
    """Of two methods that are called from outside the enabled one is recorded, and what it calls itself is not."""

    async def work():
        await Stub().get_storm_settings()
        await Stub().get_stats()

    asyncio.run(work())

    assert captured.outcomes == [("api get_stats", True)]


def test_a_method_inside_of_one_that_is_not_enabled_is_not_recorded(captured, monkeypatch):
    """What the client does on its own account is no use of the method by the program."""

    async def get_tou_health(self):
        return await self.get_stats()

    uninstrument()
    monkeypatch.setattr(Client, "get_tou_health", get_tou_health)
    instrument(methods=ENABLED)
    asyncio.run(Stub().get_tou_health())

    assert captured.outcomes == []


def test_reading_pauses_for_a_minute(captured):
    """A method that only reads is recorded once a minute, each by itself; whether it failed makes no difference."""
    now_ms = 0
    for at_ms, fails in ((0, False), (1, True), (59_999, False), (60_000, True), (119_999, False), (120_000, False)):
        captured.advance(at_ms - now_ms)
        now_ms = at_ms
        with contextlib.suppress(ValueError):
            asyncio.run(Stub([ValueError()] if fails else []).get_weather())
    captured.advance(1)
    asyncio.run(Stub().get_stats())

    assert READING_PAUSE_S == 60
    assert captured.outcomes == [
        ("api get_weather", True),
        ("api get_weather", False),
        ("api get_weather", True),
        ("api get_stats", True),
    ]


def test_deeds_are_recorded_each(captured, monkeypatch):
    """A method that changes something has no pause."""

    async def set_mode(self, _mode):
        return True

    uninstrument()
    monkeypatch.setattr(Client, "set_mode", set_mode)
    instrument(methods=ENABLED)
    for _ in range(3):
        asyncio.run(Stub().set_mode(1))

    assert captured.outcomes == [("api set_mode", True)] * 3


def test_the_pause_of_many_at_once(captured):
    """A thousand calls at the same moment are one event."""

    async def all_at_once():
        await asyncio.gather(*(Stub().get_weather() for _ in range(1000)))

    asyncio.run(all_at_once())

    assert captured.outcomes == [("api get_weather", True)]


def test_calls_side_by_side_do_not_hide_each_other(captured):
    """Two tasks call two methods at once: each is an outermost call of its own."""

    async def side_by_side():
        await asyncio.gather(Stub().get_weather(), Stub([{"code": 500, "result": None}]).get_stats())

    asyncio.run(side_by_side())

    assert sorted(captured.outcomes) == [("api get_stats", False), ("api get_weather", True)]


def test_a_cancelled_call_is_a_failure(captured, monkeypatch):
    """A time-out of the program's own ends the call by cancelling it; the program sees its own TimeoutError."""

    async def get_weather(self):
        await asyncio.sleep(60)

    uninstrument()
    monkeypatch.setattr(Client, "get_weather", get_weather)
    instrument(methods=ENABLED)

    async def impatient():
        await asyncio.wait_for(Stub().get_weather(), 0.01)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(impatient())
    asyncio.run(Stub().get_stats())

    assert captured.outcomes == [("api get_weather", False), ("api get_stats", True)]


def test_what_the_program_gets_is_untouched(captured):
    """The very object that the method returns or raises; name, signature and kind stay the method's."""
    answer = {"code": 200, "result": {"description": "sunny"}}
    assert asyncio.run(Stub([answer]).get_weather()) is answer

    error = ValueError("no answer")
    with pytest.raises(ValueError, match="no answer") as raised:
        asyncio.run(Stub([error]).get_weather())
    assert raised.value is error
    original = Client.get_weather.__wrapped__
    assert inspect.iscoroutinefunction(Client.get_weather)
    assert inspect.signature(Client.get_weather) == inspect.signature(original)
    assert (Client.get_weather.__name__, Client.get_weather.__doc__) == ("get_weather", original.__doc__)


@pytest.mark.parametrize(
    ("answers", "success"),
    [
        ([{"code": 200, "result": {}}], True),
        ([{"code": 176, "message": "queued", "result": None}], True),
        ([{"code": 500, "message": "no", "result": None}], False),
        ([{"code": 429, "message": "slowly", "result": None, "retry_after": 30}], False),
        ([{"status": 500, "error": "Internal Server Error", "path": "/x"}], False),
    ],
    ids=["well", "queued", "refused", "too many", "another server's error"],
)
def test_success_is_the_clouds_own_word(captured, answers, success):
    """What comes back without an exception is judged by the answer in it."""
    asyncio.run(Stub(answers).get_weather())

    assert captured.outcomes == [("api get_weather", success)]


@pytest.mark.parametrize(
    "refused",
    [
        {"code": 102, "message": "the gateway does not answer"},
        {"status": 500, "error": "Internal Server Error"},
        ConnectionError("no route"),
    ],
    ids=["a code", "another server's error", "an exception that the method keeps"],
)
def test_one_answer_is_enough(captured, monkeypatch, refused):
    """A method that bears some refusals has failed only when every request was refused, whatever it returns."""

    async def get_stats(self):
        for ask in (self._get, self._post):
            with contextlib.suppress(ConnectionError):
                await ask("x", None)
        return {"readings": 0}

    uninstrument()
    monkeypatch.setattr(Client, "get_stats", get_stats)
    monkeypatch.setattr(Client, "get_mode", get_stats)
    instrument(methods=ENABLED)

    asyncio.run(Stub([refused]).get_stats())
    asyncio.run(Stub([refused, refused]).get_mode())

    assert captured.outcomes == [("api get_stats", True), ("api get_mode", False)]


@pytest.mark.parametrize(
    ("name", "result", "failed"),
    [
        ("get_stats", None, False),
        ("get_mode", {"error": "no"}, True),
        ("get_weather", {"code": "US", "result": 1}, False),
        ("get_weather", {"code": 3, "description": "rain"}, False),
        ("set_mode", False, True),
        ("set_mode", True, False),
        ("check_vpp_eligibility", False, False),
        ("get_smart_circuits", 0, False),
    ],
)
def test_results(name, result, failed):
    """Which results tell of a failure, and which are only what was asked for."""
    assert tells_of_failure(name, result) is failed


def test_readings_that_could_not_be_had_are_a_failure():
    """`get_stats` returns zeros marked as stale where the cloud gave none."""
    stats = empty_stats()
    assert not tells_of_failure("get_stats", stats)

    stats.is_stale = True
    assert tells_of_failure("get_stats", stats)
