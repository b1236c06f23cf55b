from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from datetime import timedelta

import pytest
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from franklinwh_telemetry import guard, launch
from franklinwh_telemetry.sender.loopback import LoopbackReceiver

NO_DELAY_S = 5.0
"""Half of what Home Assistant waits for at an unload; a sender that waits for an answer takes six times as long."""

REDIRECTED = "[telemetry franklinwh_demo]\nendpoint = {url}\n"


@pytest.fixture
def real_sockets(socket_enabled):
    """Let this test, and what it starts, speak to itself."""


@contextlib.contextmanager
def hung_collector():
    """A Collector that takes connections and never answers; the number of those it took."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take():
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", taken
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in taken:
                connection.close()


def children():
    """The processes that this one has started, with their states."""
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as of_thread:
        assert of_thread.read() is not None
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
            state, parent = stat.read().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid():
                found[int(pid)] = state
    return found


async def wait_for(condition, timeout_s=30.0):
    """Wait for something that another process does."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.05)


async def test_a_span_arrives_and_no_process_stays(house, senders, real_sockets):
    """What was recorded arrives, sent by another process, which is collected when it has ended."""
    with LoopbackReceiver() as receiver:
        house.say(REDIRECTED.format(url=receiver.url))
        gateway = await house.add("SERIAL-1", share_usage=True)
        await gateway.set_mode()
        before = frozenset(threading.enumerate())

        await gateway.flush()

        (sender,) = children()
        assert {thread.name.partition("_")[0] for thread in set(threading.enumerate()) - before} <= {"SyncWorker"}
        await wait_for(lambda: len(receiver.spans) == 1)
        await wait_for(lambda: children() == {sender: "Z"})
        async_fire_time_changed(house.hass, dt_util.utcnow() + timedelta(seconds=31))
        await wait_for(lambda: children() == {})

        (span,) = receiver.spans
        assert span.name == "set_mode"
        assert {attribute.key for attribute in span.attributes} == {
            "franklinwh.command",
            "franklinwh.execution_latency_ms",
            "franklinwh.execution_uuid",
            "franklinwh.success",
        }
    await gateway.flush()
    assert children() == {}


async def test_a_hung_collector_delays_nothing(house, senders, real_sockets):
    """While a sender waits for an answer that never comes, unloading and stopping take no longer than without."""
    with hung_collector() as (url, taken):
        house.say(REDIRECTED.format(url=url))
        gateway = await house.add("SERIAL-1", share_usage=True)
        await gateway.set_mode()
        await gateway.flush()
        await wait_for(lambda: taken)

        started_s = time.monotonic()
        await gateway.set_mode()
        await gateway.flush()
        assert await house.hass.config_entries.async_unload(gateway.entry.entry_id)
        assert await house.hass.config_entries.async_setup(gateway.entry.entry_id)
        await gateway.set_mode()
        await house.stop()
        took_s = time.monotonic() - started_s

        assert len(children()) == 1
        assert took_s < NO_DELAY_S
    await wait_for(lambda: set(children().values()) <= {"Z"})
    launch.reap()
    assert children() == {}


async def test_stop_without_unload(sharing, caplog):
    """What was recorded before Home Assistant stops, which unloads nothing, is on the disk afterwards."""
    await sharing.set_mode()
    assert sharing.waiting == []

    await sharing.house.stop()

    assert sharing.told == [("set_mode", True)]
    assert sharing.uuid == sharing.waiting[0]["execution_uuid"]
    assert await sharing.hass.config_entries.async_unload(sharing.entry.entry_id)
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_unloading_flushes(sharing, monkeypatch):
    """What was recorded before an entry is unloaded is on the disk afterwards, and then nothing is done any more."""
    await sharing.set_mode()

    assert await sharing.hass.config_entries.async_unload(sharing.entry.entry_id)

    assert sharing.told == [("set_mode", True)]
    await sharing.house.stop()
    with pytest.raises(ServiceValidationError):
        await sharing.set_mode()
    assert sharing.queued == []
    flushed = []
    monkeypatch.setattr(type(sharing.telemetry), "flush_and_launch", lambda _self: flushed.append(1))
    await sharing.flush()
    assert flushed == []


async def test_nothing_is_written_before_the_flush(sharing):
    """Recording touches no disk; every quarter of an hour it is written."""
    await sharing.set_mode()
    await sharing.house.pass_minutes(14)
    assert (sharing.waiting, sharing.folder.exists()) == ([], False)

    await sharing.house.pass_minutes(15)

    assert sharing.told == [("set_mode", True)]


async def test_what_an_earlier_sender_has_left_is_sent(house, senders, real_sockets):
    """A flush with nothing new starts a sender for what waits, as after a stop that killed the last one."""
    with LoopbackReceiver() as receiver:
        house.say(REDIRECTED.format(url=receiver.url))
        gateway = await house.add("SERIAL-1", share_usage=True)
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(launch.SENDER_MARK, "1")
            await gateway.set_mode()
            await gateway.flush()
        assert (children(), len(gateway.waiting)) == ({}, 1)

        await house.pass_minutes(30)

        await wait_for(lambda: len(receiver.spans) == 1)
        await wait_for(lambda: "R" not in children().values() and set(children().values()) <= {"Z"})
        launch.reap()
        assert children() == {}


async def test_a_burst_is_bounded(sharing):
    """Between two flushes at most 1,000 events wait in memory; how many more there were is counted."""
    for _ in range(1_005):
        await sharing.turn("on")
    assert len(sharing.queued) == 1_000

    await sharing.flush()

    assert len(sharing.waiting) == 1_000
    assert sharing.spools[0].tally.read()["dropped_queue_full"] == 5


async def test_nothing_is_said_in_the_log(house, caplog, monkeypatch):
    """Nothing of ours is in the user's log, even where nothing can be written and every flush fails."""
    monkeypatch.setattr("franklinwh_telemetry.guard.reraising", None)
    gateway = await house.add("SERIAL-1")
    gateway.folder.mkdir(parents=True)
    (gateway.folder / "franklinwh-telemetry").write_text("in the way")
    caplog.clear()
    await gateway.choose(share_usage=True)

    await gateway.set_mode()
    await gateway.flush()
    assert await house.hass.config_entries.async_reload(gateway.entry.entry_id)
    await gateway.set_mode()
    await house.stop()
    await gateway.choose(share_usage=False)

    assert gateway.client.mode == "self_consumption"
    assert guard.notes
    told = [record for record in caplog.records if record.levelno > logging.INFO]
    assert [record.getMessage() for record in told] == []


async def test_diagnostics(sharing, front_end):
    """What a user may paste in public has neither the UUID nor the serial number, and says whether it is on."""
    await sharing.set_mode()
    await sharing.flush()
    assert sharing.uuid is not None

    answer = await front_end.get(f"/api/diagnostics/config_entry/{sharing.entry.entry_id}")
    text = await answer.text()

    assert (answer.status, (await answer.json())["data"]["telemetry"]) == (
        200,
        {
            "share_usage": True,
            "decision": "granted",
            "execution_uuid": "**REDACTED**",
            "waiting": 1,
            "counts": {},
            "senders_died": 0,
        },
    )
    assert sharing.uuid not in text
    assert str(sharing.house.config) not in text


async def test_diagnostics_before_a_yes(gateway, front_end):
    """Whoever was not asked has no UUID, and the rule that decides is named."""
    answer = await front_end.get(f"/api/diagnostics/config_entry/{gateway.entry.entry_id}")

    told = (await answer.json())["data"]["telemetry"]
    assert (told["share_usage"], told["decision"], told["execution_uuid"]) == (False, "host_declined", None)
