from __future__ import annotations

import asyncio
import inspect
import sys

import franklinwh_cloud.cli as upstream_cli
import pytest
from franklinwh_cloud import cli_output, telemetry
from franklinwh_cloud.client import Client

from franklinwh_telemetry.integrations.franklinwh_cloud import Hooks


@pytest.fixture
def failures():
    """A list that grows by one for each failure noticed."""
    return []


class Stub(Client):
    """The real client's class, without the connection that its constructor makes."""

    def __init__(self):
        pass


def public_coroutines():
    return {name for name, value in inspect.getmembers(Client, inspect.iscoroutinefunction) if name[0] != "_"}


def test_everything_is_restored(failures):
    """Leaving the context puts every name back, inherited methods included."""
    before = (
        cli_output.print_error,
        upstream_cli.print_error,
        telemetry.dispatch_cli_event,
        dict(vars(Client)),
    )

    with Hooks(lambda: failures.append(1)):
        assert cli_output.print_error is not before[0]
        assert upstream_cli.print_error is cli_output.print_error

    assert before == (
        cli_output.print_error,
        upstream_cli.print_error,
        telemetry.dispatch_cli_event,
        dict(vars(Client)),
    )


def test_modules_loaded_meanwhile_are_restored_too(failures):
    """A command's module that is imported while the hooks are in place keeps none of them."""
    sys.modules.pop("franklinwh_cloud.cli_commands.fetch", None)
    original = cli_output.print_error

    with Hooks(lambda: failures.append(1)):
        from franklinwh_cloud.cli_commands import fetch

        assert fetch.print_error is not original

    assert fetch.print_error is original


def test_a_printed_error_is_a_failure_and_still_printed(failures, capsys):
    """The error reaches the user as before."""
    with Hooks(lambda: failures.append(1)):
        cli_output.print_error("out of sun")

    assert failures == [1]
    assert "out of sun" in capsys.readouterr().err


def test_the_dispatcher_does_nothing(failures, monkeypatch):
    """Upstream's own event starts no thread and asks for no address."""
    monkeypatch.setattr(telemetry, "_send_telemetry_sync", lambda *_: failures.append("left"))

    with Hooks(lambda: failures.append(1)):
        telemetry.dispatch_cli_event("status", True, "anonymous")

    assert failures == []


def test_every_public_coroutine_of_the_client_is_watched(failures):
    """All 132 of them, and they stay coroutine functions."""
    before = {name: getattr(Client, name) for name in public_coroutines()}
    assert len(before) == 132

    with Hooks(lambda: failures.append(1)):
        assert public_coroutines() == set(before)
        assert not [name for name in before if getattr(Client, name) is before[name]]


def test_only_what_leaves_the_client_counts(failures, monkeypatch):
    """An exception counts once where it leaves the client, and not at all where the client itself catches it."""

    async def inner(self):
        raise ValueError("inner")

    async def outer(self):
        await self.get_stats()

    async def catching(self):
        try:
            await self.get_stats()
        except ValueError:
            return {"result": {}}
        return None

    monkeypatch.setattr(Client, "get_stats", inner)
    monkeypatch.setattr(Client, "get_mode", outer)
    monkeypatch.setattr(Client, "get_tou_info", catching, raising=False)

    with Hooks(lambda: failures.append(1)):
        assert asyncio.run(Stub().get_tou_info()) == {"result": {}}
        assert failures == []
        with pytest.raises(ValueError, match="inner"):
            asyncio.run(Stub().get_mode())

    assert failures == [1]


def test_an_error_that_is_returned_counts(failures, monkeypatch):
    """`get_mode` tells of a failure by a result with an `error` in it."""

    async def get_mode(self):
        return {"error": "no answer"}

    monkeypatch.setattr(Client, "get_mode", get_mode)

    with Hooks(lambda: failures.append(1)):
        assert asyncio.run(Stub().get_mode()) == {"error": "no answer"}

    assert failures == [1]
