from __future__ import annotations

import asyncio
import functools
import inspect
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from homeassistant.core import HassJob, HassJobType, ServiceCall, callback, is_callback
from house import DOMAIN

from franklinwh_telemetry.integrations import home_assistant_entry
from franklinwh_telemetry.integrations.home_assistant import action, async_setup_telemetry, poll


async def coroutine_function(*_arguments):
    """Wait for nothing."""
    await asyncio.sleep(0)
    return "done"


def function(*_arguments):
    """Do it at once."""
    return "done"


@callback
def a_callback(*_arguments):
    """Do it in the loop."""
    return "done"


class Device:
    """What methods belong to."""

    async def method(self, *_arguments):
        """Wait for nothing."""
        return "done"

    def plain_method(self, *_arguments):
        """Do it at once."""
        return "done"


KINDS = {
    "coroutine function": (coroutine_function, HassJobType.Coroutinefunction),
    "function": (function, HassJobType.Executor),
    "callback": (a_callback, HassJobType.Callback),
    "method": (Device().method, HassJobType.Coroutinefunction),
    "plain method": (Device().plain_method, HassJobType.Executor),
    "partial": (functools.partial(coroutine_function, 1), HassJobType.Coroutinefunction),
    "partial callback": (functools.partial(a_callback, 1), HassJobType.Callback),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_callable_stays_what_it_is(kind):
    """Home Assistant runs the wrapped callable where it would have run the original, and finds its metadata."""
    original, job_type = KINDS[kind]
    inside = getattr(original, "func", original)

    wrapped = action("set_mode")(original)

    assert HassJob(wrapped).job_type is HassJob(original).job_type is job_type
    assert inspect.iscoroutinefunction(wrapped) is inspect.iscoroutinefunction(original)
    assert is_callback(wrapped) is is_callback(inside)
    assert wrapped.__wrapped__ is original
    assert (wrapped.__name__, wrapped.__doc__) == (inside.__name__, inside.__doc__)
    assert inspect.signature(wrapped) == inspect.signature(original)


async def test_a_callback_may_be_marked_on_either_side(sharing):
    """`@callback` above or below `@action` leads to the same."""
    above, below = callback(action("set_mode")(function)), action("set_mode")(callback(function))

    assert HassJob(above).job_type is HassJob(below).job_type is HassJobType.Callback


@pytest.mark.parametrize("original", [coroutine_function, function, a_callback], ids=lambda kind: kind.__name__)
async def test_services_of_every_kind_are_recorded(sharing, original):
    """A service's handler runs in the loop or in a thread as it would have, returns what it did, and is recorded."""
    handler = action("set_mode")(original)
    sharing.hass.services.async_register(DOMAIN, "other", handler)

    await sharing.hass.services.async_call(DOMAIN, "other", {}, blocking=True)
    assert sharing.waiting == []
    await sharing.flush()

    assert sharing.told == [("set_mode", True)]


@pytest.mark.parametrize("error", [RuntimeError("surprise"), asyncio.CancelledError(), KeyboardInterrupt()], ids=repr)
async def test_errors_pass_through(sharing, error):
    """The very exception comes out, cancellation and Ctrl-C too, with the wrapped function in its traceback."""

    @action("set_mode")
    async def handler(_call):
        raise error

    with pytest.raises(type(error)) as raised:
        await handler(ServiceCall(sharing.hass, DOMAIN, "set_mode"))
    await sharing.flush()

    assert raised.value is error
    assert raised.traceback[-1].name == "handler"
    assert sharing.told == [("set_mode", False)]


async def test_the_result_passes_through(sharing):
    """What a handler returns is what its caller gets."""
    call = ServiceCall(sharing.hass, DOMAIN, "set_mode")

    assert await action("set_mode")(coroutine_function)(call) == "done"
    assert action("set_mode")(function)(call) == "done"


async def test_what_is_not_listed_is_other(sharing):
    """A name outside the list is told as `other`, never by itself."""
    await action("surprise")(coroutine_function)(ServiceCall(sharing.hass, DOMAIN, "set_mode"))
    await sharing.flush()

    assert sharing.told == [("other", True)]


async def test_the_entry_that_a_call_names(house):
    """A call belongs to the entry that its data names: by itself, by a device, or by an entity."""
    yes = await house.add("SERIAL-1", share_usage=True)
    no = await house.add("SERIAL-2")
    handler = action("set_mode")(coroutine_function)

    def data(gateway):
        return (
            {"config_entry_id": gateway.entry.entry_id},
            {"device_id": gateway.device_id()},
            {"entity_id": [gateway.entity_id("switch"), gateway.entity_id("select")]},
        )

    for call in (*data(yes), *data(no)):
        await handler(ServiceCall(house.hass, DOMAIN, "set_mode", call))
    await yes.flush()

    assert yes.told == [("set_mode", True)] * 3
    assert no.waiting == []


async def test_a_call_of_several_entries_is_recorded_under_none(house):
    """Where a call names two entries, or none and there are two, nobody's consent covers it."""
    one = await house.add("SERIAL-1", share_usage=True)
    two = await house.add("SERIAL-2", share_usage=True)
    handler = action("set_mode")(coroutine_function)

    for data in ({}, {"entity_id": [one.entity_id("switch"), two.entity_id("switch")]}, {"entity_id": "all"}):
        await handler(ServiceCall(house.hass, DOMAIN, "set_mode", data))

    assert [len(gateway.queued) for gateway in (one, two)] == [0, 0]


async def test_a_call_without_a_target(sharing):
    """Where the integration has one entry alone, a call that names none belongs to it."""
    await action("set_mode")(coroutine_function)(ServiceCall(sharing.hass, DOMAIN, "set_mode"))

    assert len(sharing.queued) == 1


async def test_an_entry_given_to_the_decorator(house):
    """`entry=` decides, whatever the call names."""
    yes = await house.add("SERIAL-1", share_usage=True)
    no = await house.add("SERIAL-2")
    call = ServiceCall(house.hass, DOMAIN, "set_mode", {"config_entry_id": yes.entry.entry_id})

    await action("set_mode", entry=no.entry)(coroutine_function)(call)
    assert len(yes.queued) == 0
    await action("set_mode", entry=yes.entry)(coroutine_function)(call)

    assert (len(yes.queued), no.telemetry.has_uuid) == (1, False)


@pytest.mark.parametrize("owner", [None, object(), MagicMock()], ids=["nothing", "an object", "a mock"])
async def test_what_belongs_to_nobody(sharing, owner):
    """What has no entry, as in the tests of an integration, runs as if it were not wrapped."""
    assert await action("set_mode")(coroutine_function)(owner) == "done"

    assert sharing.queued == []


async def test_polls_are_left_alone(sharing):
    """Updating, by itself or on request, is not recorded."""
    await sharing.entry.runtime_data.async_refresh()
    await sharing.house.pass_minutes(2)

    assert sharing.queued == []


async def test_polls_on_request_are_capped(sharing):
    """`@poll` records at most one update an hour, of each name."""
    times = [0.0]
    update = poll("turn_on")(coroutine_function)
    another = poll("turn_off")(coroutine_function)
    coordinator = sharing.entry.runtime_data

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(home_assistant_entry, "time", SimpleNamespace(monotonic=lambda: times[0]))
        for second in (5.0, 60.0, 3604.0, 3605.0, 7000.0):
            times[0] = second
            await update(coordinator)
        await another(coordinator)
    await sharing.flush()

    assert sharing.told == [("turn_off", True), ("turn_on", True), ("turn_on", True)]


async def test_a_poll_before_the_yes_does_not_count(gateway):
    """Polls that nobody may know of do not use up the hour."""
    update = poll("turn_on")(coroutine_function)
    await update(gateway.entry.runtime_data)
    await gateway.choose(share_usage=True)

    await update(gateway.entry.runtime_data)

    assert len(gateway.queued) == 1


async def test_mistakes_of_a_developer_are_told(hass, gateway):
    """What cannot be a list of commands, or an application, is a ValueError at setup."""
    with pytest.raises(ValueError, match="surplus spaces"):
        await async_setup_telemetry(hass, gateway.entry, ["set  mode"])
    del hass.data["franklinwh_telemetry"][gateway.entry.entry_id]
    with pytest.raises(ValueError, match="application"):
        await async_setup_telemetry(hass, gateway.entry, ["set_mode"], application="No Name")
