"""
For integrations of Home Assistant: which of a user's actions ran, recorded only under the entry they belong to.

No thread, no socket and no OpenTelemetry in Home Assistant's process, and no line in its log.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from franklinwh_telemetry.guard import guard
from franklinwh_telemetry.integrations.home_assistant_entry import FLUSH_INTERVAL_S, EntryTelemetry
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    Scope = AbstractContextManager[Any]

Wrapped = TypeVar("Wrapped")

CONF_SHARE_USAGE: Final = "share_usage"
"""The option of a config entry that holds its user's answer; off unless it is True."""

REDACTED: Final = "**REDACTED**"
"""As Home Assistant's own `async_redact_data` writes it."""

_DATA: Final = "franklinwh_telemetry"
_UNRECORDED: Final = nullcontext()


async def async_setup_telemetry(
    hass: HomeAssistant,
    entry: ConfigEntry,
    commands: Vocabulary | Sequence[str],
    *,
    application: str | None = None,
    destination: str | None = None,
    policy_version: int = 1,
) -> None:
    """
    Let the actions of *entry* be recorded while its option `CONF_SHARE_USAGE` is on; call it in `async_setup_entry`.

    *commands* is the list of what may be told; an action not in it is told as `other`. *application* is the
    integration's domain by default; *destination* and *policy_version* as for `Telemetry`. What is recorded is written
    down every 15 minutes, when the entry is unloaded, and when Home Assistant stops; nothing waits for a network.
    Turning the option off throws away what waits, and the UUID; so does removing the entry, with all that was kept.
    Raises ValueError for commands or an application that cannot be; no other error of ours.
    """
    vocabulary = commands if isinstance(commands, Vocabulary) else Vocabulary(commands)
    known = _known(hass)
    telemetry = known.get(entry.entry_id)
    if telemetry is None:
        telemetry = known[entry.entry_id] = EntryTelemetry(
            hass,
            entry,
            vocabulary,
            option=CONF_SHARE_USAGE,
            application=application or entry.domain,
            destination=destination,
            policy_version=policy_version,
        )
    await telemetry.async_open()
    with guard:
        _keep_flushing(hass, entry, telemetry)


def action(name: str, *, entry: ConfigEntry | None = None) -> Callable[[Wrapped], Wrapped]:
    """
    A decorator for what a user does: a service's handler, or a method of an entity.

    Coroutine functions, functions, `@callback`s and methods stay what they are; results and exceptions pass through.
    A method is recorded under the entry that its entity was set up by. A service's call is recorded under *entry*; else
    under the one that its data names (`config_entry_id`, `device_id`, `entity_id`); else under the only one that the
    integration has. Where that is not exactly one, and while that one's user has not said yes, nothing is recorded.
    """
    return _decorator(lambda arguments: _scope(name, entry, arguments))


def poll(name: str, *, entry: ConfigEntry | None = None) -> Callable[[Wrapped], Wrapped]:
    """The same for what the integration does by itself: recorded at most once an hour, for each name and entry."""
    return _decorator(lambda arguments: _scope(name, entry, arguments, is_poll=True))


def telemetry_field(entry: ConfigEntry) -> dict[Any, Any]:
    """
    The field of an options form, `CONF_SHARE_USAGE`, as one entry of its schema: a toggle, off unless it was on.

    Options forms replace all options, so that it must stand in the same form as the others.
    """
    import voluptuous as vol  # noqa: PLC0415 - there only in a host
    from homeassistant.helpers.selector import BooleanSelector  # noqa: PLC0415

    is_on = entry.options.get(CONF_SHARE_USAGE) is True
    return {vol.Required(CONF_SHARE_USAGE, default=is_on): BooleanSelector()}


async def async_telemetry_diagnostics(hass: HomeAssistant, entry: ConfigEntry) -> dict[str, Any]:
    """What may be pasted in public: whether it is on and what was counted; no UUID, path or address."""
    telemetry = _known(hass).get(entry.entry_id)
    if telemetry is None:
        return {CONF_SHARE_USAGE: False}
    status = await hass.async_add_executor_job(telemetry.status)
    return {
        CONF_SHARE_USAGE: telemetry.is_shared(),
        "decision": telemetry.decision,
        "execution_uuid": REDACTED if telemetry.has_uuid else None,
        "waiting": status.pending,
        "counts": status.counts,
        "senders_died": status.senders_died,
    }


def _known(hass: HomeAssistant) -> dict[str, EntryTelemetry]:
    """The telemetry of each entry that was ever set up in this process; its first use listens for changed options."""
    if _DATA not in hass.data:
        hass.data[_DATA] = {}
        with guard:
            _withdraw_on_change(hass)
    return cast("dict[str, EntryTelemetry]", hass.data[_DATA])


def _withdraw_on_change(hass: HomeAssistant) -> None:
    """
    Withdraw as soon as an option is turned off or an entry removed.

    By the signal that Home Assistant's own front end is told by: an update listener would forbid the integration
    `OptionsFlowWithReload`. Where there is no such signal, the next action, flush or setup withdraws.
    """
    from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntryChange  # noqa: PLC0415 - a host's
    from homeassistant.core import callback  # noqa: PLC0415
    from homeassistant.helpers.dispatcher import async_dispatcher_connect  # noqa: PLC0415

    def changed(change: ConfigEntryChange, entry: ConfigEntry) -> None:
        with guard:
            telemetry = hass.data[_DATA].get(entry.entry_id)
            if telemetry is None:
                return
            if change == ConfigEntryChange.REMOVED:
                hass.async_create_task(hass.data[_DATA].pop(entry.entry_id).async_forget())
            elif not telemetry.is_shared() and telemetry.has_uuid:
                hass.async_create_task(telemetry.async_withdraw())

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, callback(changed))


def _keep_flushing(hass: HomeAssistant, entry: ConfigEntry, telemetry: EntryTelemetry) -> None:
    """Flush on a timer, when Home Assistant stops, which unloads nothing, and when the entry is unloaded."""
    from datetime import timedelta  # noqa: PLC0415 - only in a host, which has loaded all of these

    from homeassistant.const import EVENT_HOMEASSISTANT_STOP  # noqa: PLC0415
    from homeassistant.helpers.event import async_track_time_interval  # noqa: PLC0415

    async def stop(_event: object) -> None:
        listening.clear()
        await telemetry.async_flush()

    def stop_listening() -> None:
        while listening:
            listening.pop()()

    listening = [hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)]
    interval = timedelta(seconds=FLUSH_INTERVAL_S)
    entry.async_on_unload(telemetry.async_close)
    entry.async_on_unload(stop_listening)
    entry.async_on_unload(
        async_track_time_interval(hass, telemetry.async_flush, interval, cancel_on_shutdown=True),
    )


def _decorator(scope_of: Callable[[Sequence[object]], Scope]) -> Callable[[Wrapped], Wrapped]:
    def decorate(function: Wrapped) -> Wrapped:
        from inspect import iscoroutinefunction  # noqa: PLC0415 - a host has loaded it

        called = cast("Callable[..., Any]", function)

        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            with scope_of((*arguments, *keywords.values())):
                return called(*arguments, **keywords)

        async def async_wrapper(*arguments: Any, **keywords: Any) -> Any:
            with scope_of((*arguments, *keywords.values())):
                return await called(*arguments, **keywords)

        made = async_wrapper if iscoroutinefunction(function) else wrapper
        # A partial carries no metadata, and Home Assistant looks for the mark of `@callback` in what is inside.
        functools.update_wrapper(made, _innermost(called))
        vars(made)["__wrapped__"] = called
        return cast("Wrapped", made)

    return decorate


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _scope(
    name: str,
    entry: ConfigEntry | None,
    arguments: Sequence[object],
    *,
    is_poll: bool = False,
) -> Scope:
    """The context that records a run, or one that does nothing where it belongs to no entry of ours."""
    with guard:
        telemetry = _telemetry_of(entry, arguments)
        if telemetry is not None and telemetry.is_shared() and (not is_poll or telemetry.poll_is_due(name)):
            return telemetry.command(name)
    return _UNRECORDED


def _telemetry_of(entry: ConfigEntry | None, arguments: Sequence[object]) -> EntryTelemetry | None:
    for argument in arguments:
        known = getattr(getattr(argument, "hass", None), "data", {}).get(_DATA)
        if isinstance(known, dict):
            entry_id = _entry_id(argument) if entry is None else entry.entry_id
            if entry_id is not None:
                return cast("dict[str, EntryTelemetry]", known).get(entry_id)
    return None


def _entry_id(owner: Any) -> str | None:
    """The entry that an entity, a coordinator or a service's call belongs to; None where it is not exactly one."""
    from homeassistant.core import ServiceCall  # noqa: PLC0415 - there only in a host

    if isinstance(owner, ServiceCall):
        entries = owner.hass.config_entries.async_entries(owner.domain)
        own = [entry.entry_id for entry in entries]
        named = set(own).intersection(_named(owner)) or set(own)
        return named.pop() if len(named) == 1 else None
    for owned_by in (owner, getattr(owner, "platform", None)):
        entry_id = getattr(getattr(owned_by, "config_entry", None), "entry_id", None)
        if isinstance(entry_id, str):
            return entry_id
    registered = getattr(getattr(owner, "registry_entry", None), "config_entry_id", None)
    return registered if isinstance(registered, str) else None


def _named(call: Any) -> Iterator[str | None]:
    """The entries that the data of a service's call names, of whatever integration."""
    from homeassistant.helpers import device_registry, entity_registry  # noqa: PLC0415 - there only in a host

    yield from _texts(call.data.get("config_entry_id"))
    for device_id in _texts(call.data.get("device_id")):
        device = device_registry.async_get(call.hass).async_get(device_id)
        yield from () if device is None else device.config_entries
    for entity_id in _texts(call.data.get("entity_id")):
        entity = entity_registry.async_get(call.hass).async_get(entity_id)
        yield None if entity is None else entity.config_entry_id


def _texts(value: object) -> list[str]:
    found = [value] if isinstance(value, str) else value
    return [text for text in found if isinstance(text, str)] if isinstance(found, (list, tuple, set)) else []
