from __future__ import annotations

import json
import os
import stat
import sys
import threading

import pytest

FORM = "/api/config/config_entries/options/flow"


async def open_form(client, gateway):
    """The options form, as the front end asks for it."""
    answer = await client.post(FORM, json={"handler": gateway.entry.entry_id})
    assert answer.status == 200
    return await answer.json()


async def save_form(client, gateway, **values):
    """Open the form, fill it in, and save it, as the front end does."""
    form = await open_form(client, gateway)
    answer = await client.post(f"{FORM}/{form['flow_id']}", json={"scan_interval": 60, **values})
    assert (answer.status, (await answer.json())["type"]) == (200, "create_entry")
    await gateway.hass.async_block_till_done()


async def test_off_by_default(gateway):
    """A user who was never asked: actions work, and nothing of ours is on the disk, not even a folder."""
    await gateway.set_mode()
    await gateway.select()
    await gateway.flush()
    await gateway.house.stop()

    assert gateway.client.mode == "emergency_backup"
    assert not gateway.telemetry.has_uuid
    assert not gateway.folder.parent.exists()


async def test_the_form_has_the_toggle_off(gateway, front_end):
    """The options form asks with a toggle that is off, under the name that the translations explain."""
    form = await open_form(front_end, gateway)

    toggle = {"name": "share_usage", "required": True, "default": False, "selector": {"boolean": {}}}
    assert (form["type"], form["step_id"], form["data_schema"][-1]) == ("form", "init", toggle)
    await gateway.choose(share_usage=True)
    form = await open_form(front_end, gateway)
    assert form["data_schema"][-1] == {**toggle, "default": True}


async def test_toggled_on_in_the_front_end(gateway, front_end):
    """From the moment the form is saved actions are recorded, each with the five facts and its ids and no more."""
    await save_form(front_end, gateway, share_usage=True)

    await gateway.set_mode()
    await gateway.select()
    await gateway.turn("on")
    await gateway.turn("off")
    await gateway.flush()

    assert gateway.told == [("select_mode", True), ("set_mode", True), ("turn_off", True), ("turn_on", True)]
    record = gateway.waiting[0]
    assert sorted(record) == [
        "command",
        "executed_at_ms",
        "execution_latency_ms",
        "execution_uuid",
        "span_id",
        "success",
        "trace_id",
        "v",
    ]
    assert {found["execution_uuid"] for found in gateway.waiting} == {gateway.uuid}
    assert "SERIAL-1" not in json.dumps(gateway.waiting)
    assert len({found["span_id"] for found in gateway.waiting}) == 4


async def test_a_failure_is_recorded_and_raised(sharing, monkeypatch):
    """An action that raises is recorded as failed, and its very exception reaches whoever called."""
    error = RuntimeError("surprise")

    async def fail(*_arguments):
        raise error

    monkeypatch.setattr(sharing.client, "set_mode", fail)

    with pytest.raises(RuntimeError) as raised:
        await sharing.set_mode()
    await sharing.flush()

    assert raised.value is error
    assert sharing.told == [("set_mode", False)]
    assert "surprise" not in json.dumps(sharing.waiting)


async def test_toggled_off_in_the_front_end(sharing, front_end):
    """Withdrawal throws away, at once and unsent, what waits on the disk and in memory, and deletes the UUID."""
    await sharing.set_mode()
    await sharing.flush()
    await sharing.select()
    assert (len(sharing.waiting), len(sharing.queued), sharing.uuid is not None) == (1, 1, True)

    await save_form(front_end, sharing, share_usage=False)

    assert (sharing.waiting, sharing.queued, sharing.uuid) == ([], [], None)
    assert [spool.manifest() for spool in sharing.spools] == [None]
    await sharing.set_mode()
    await sharing.flush()
    assert sharing.waiting == []


async def test_another_yes_is_another_uuid(sharing):
    """Whoever says yes again after a withdrawal cannot be linked with before."""
    await sharing.set_mode()
    await sharing.flush()
    before = sharing.uuid
    await sharing.choose(share_usage=False)
    await sharing.choose(share_usage=True)

    await sharing.set_mode()
    await sharing.flush()

    assert sharing.told == [("set_mode", True)]
    assert None is not sharing.uuid != before


@pytest.mark.parametrize("has_uuid", [True, False])
async def test_a_withdrawal_while_it_was_down(sharing, has_uuid):
    """An option that is found off when Home Assistant starts withdraws as well, whatever was left."""
    await sharing.set_mode()
    assert await sharing.hass.config_entries.async_unload(sharing.entry.entry_id)
    assert sharing.told == [("set_mode", True)]
    del sharing.hass.data["franklinwh_telemetry"][sharing.entry.entry_id]
    object.__setattr__(sharing.entry, "options", {})
    if not has_uuid:
        (sharing.folder / "execution_uuid").unlink()

    assert await sharing.hass.config_entries.async_setup(sharing.entry.entry_id)

    assert (sharing.waiting, sharing.uuid) == ([], None)


@pytest.mark.parametrize("answer", ["true", 1, "yes", None])
async def test_only_true_is_a_yes(house, answer):
    """What is not the bool True is no consent, however true it sounds."""
    gateway = await house.add("SERIAL-1", share_usage=answer)

    await gateway.set_mode()
    await gateway.flush()

    assert not gateway.folder.exists()


async def test_two_entries_of_which_one_consents(house):
    """An action is recorded only under the entry it belongs to: neither the other one's actions nor its UUID."""
    yes = await house.add("SERIAL-1", share_usage=True)
    no = await house.add("SERIAL-2")

    for gateway in (no, yes):
        await gateway.set_mode()
        await gateway.select()
        await gateway.turn("on")
    await yes.flush()

    assert yes.told == [("select_mode", True), ("set_mode", True), ("turn_on", True)]
    assert not no.folder.exists()


async def test_two_entries_that_consent(house):
    """Two gateways of one house have a UUID each, and the withdrawal of one leaves the other's events alone."""
    one = await house.add("SERIAL-1", share_usage=True)
    two = await house.add("SERIAL-2", share_usage=True)
    await one.set_mode()
    await two.select()
    await one.flush()
    assert None not in (one.uuid, two.uuid)
    assert one.uuid != two.uuid

    await one.choose(share_usage=False)

    assert (one.waiting, one.uuid) == ([], None)
    assert two.told == [("select_mode", True)]
    assert two.waiting[0]["execution_uuid"] == two.uuid


async def test_the_uuid_survives_a_restart(sharing):
    """The UUID is private, in Home Assistant's own store, and the same after the entry was set up again."""
    await sharing.set_mode()
    await sharing.flush()
    path = sharing.folder / "execution_uuid"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    del sharing.hass.data["franklinwh_telemetry"][sharing.entry.entry_id]

    assert await sharing.hass.config_entries.async_reload(sharing.entry.entry_id)
    await sharing.set_mode()
    await sharing.flush()

    assert [record["execution_uuid"] for record in sharing.waiting] == [sharing.uuid] * 2


async def test_a_removed_entry_leaves_nothing(sharing):
    """With the entry goes all that was kept of it."""
    await sharing.set_mode()
    await sharing.flush()
    assert sharing.folder.exists()

    await sharing.hass.config_entries.async_remove(sharing.entry.entry_id)
    await sharing.hass.async_block_till_done()

    assert not sharing.folder.exists()


async def test_an_ini_that_says_no_wins(house):
    """A no in the configuration folder's ini is stronger than the toggle."""
    house.say("[telemetry franklinwh_demo]\nenabled = false\n")
    gateway = await house.add("SERIAL-1", share_usage=True)

    await gateway.set_mode()
    await gateway.flush()

    assert not gateway.folder.exists()


async def test_an_ini_that_says_no_later(sharing):
    """A no that is written while Home Assistant runs holds at the next flush, for what was recorded before, too."""
    await sharing.set_mode()
    await sharing.flush()
    await sharing.select()
    sharing.house.say("[telemetry franklinwh_demo]\nenabled = false\n")

    await sharing.flush()
    assert (sharing.waiting, [spool.manifest() for spool in sharing.spools]) == ([], [None])

    await sharing.set_mode()
    assert sharing.queued == []
    sharing.house.say("")
    await sharing.flush()
    await sharing.set_mode()
    await sharing.flush()
    assert sharing.told == [("set_mode", True)]


@pytest.mark.parametrize(("name", "text"), [("DO_NOT_TRACK", "1"), ("FRANKLINWH_TELEMETRY", "0")])
async def test_a_variable_that_says_no_wins(sharing, monkeypatch, name, text):
    """A variable is stronger than the toggle, from the next action on."""
    monkeypatch.setenv(name, text)

    await sharing.set_mode()

    assert sharing.queued == []


async def test_no_file_is_looked_at_in_the_loop(sharing, monkeypatch):
    """While actions run and are recorded, Home Assistant's thread asks no file system for anything."""
    thread, looked = threading.get_ident(), []

    def is_ours(frame):
        files = []
        while frame is not None:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        # In debug mode asyncio looks up the lines of whoever makes a task.
        return any("franklinwh_telemetry" in file for file in files) and not any("linecache" in file for file in files)

    def watched(function):
        def watch(*arguments, **keywords):
            if threading.get_ident() == thread and is_ours(sys._getframe(1)):
                looked.append((function.__name__, arguments))
            return function(*arguments, **keywords)

        return watch

    for name in ("stat", "lstat", "open", "listdir", "mkdir", "unlink", "rename", "access", "getcwd"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    sharing.telemetry.look()
    assert "stat" in [name for name, _arguments in looked]
    looked.clear()

    await sharing.set_mode()
    await sharing.select()
    await sharing.choose(share_usage=True, scan_interval=60)
    assert looked == []

    await sharing.flush()
    await sharing.choose(share_usage=False)
    assert looked == []
    monkeypatch.undo()


async def test_withdrawn_while_an_action_runs(sharing, monkeypatch):
    """What began under a yes and ends after it is not recorded."""

    async def withdraw(*_arguments):
        await sharing.choose(share_usage=False)

    monkeypatch.setattr(sharing.client, "set_mode", withdraw)

    await sharing.set_mode()

    assert (sharing.queued, sharing.telemetry.has_uuid) == ([], False)
