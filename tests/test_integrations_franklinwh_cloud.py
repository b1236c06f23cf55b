from __future__ import annotations

import asyncio
import inspect
import sys
from pathlib import Path

import franklinwh_cloud.cli as upstream_cli
import pytest
from franklinwh_cloud import cli_output, telemetry
from franklinwh_cloud.client import Client

from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.integrations.franklinwh_cloud import REFUSALS, Hooks, instrument, uninstrument
from franklinwh_telemetry.testing import capture_events
from franklinwh_telemetry.vocabularies import franklinwh_cloud_api


@pytest.fixture
def failures():
    """A list that grows by one for each failure noticed."""
    return []


class Stub(Client):
    """The real client's class, without the connection that its constructor makes."""

    def __init__(self):
        pass


@pytest.fixture
def clean():
    """Whatever the test instruments is taken back."""
    yield
    uninstrument()


def attributes():
    """Every attribute of every loaded module and class of the package, by identity; modules that are no more too."""
    places = {name: vars(module) for name, module in sys.modules.items() if name.split(".")[0] == "franklinwh_cloud"}
    places |= {f"class {owner.__qualname__}": vars(owner) for owner in Client.__mro__}
    return {(place, name): id(value) for place, names in places.items() for name, value in names.items()}


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


@pytest.mark.parametrize("methods", [(), ["get_stats", "set_mode"], lambda _name: True], ids=["none", "two", "all"])
def test_uninstrument_restores_every_attribute(methods, clean):
    """After `uninstrument` every attribute of the package is the object that it was, inherited methods included."""
    before = attributes()

    instrument(methods=methods)
    replaced = {name for (place, name), value in attributes().items() if before.get((place, name)) != value}
    uninstrument()

    assert attributes() == before
    assert {"main", "dispatch_cli_event"} <= replaced
    assert len(replaced - {"main", "dispatch_cli_event"}) == (134 if methods else 0)


def test_instrument_again_replaces_and_uninstrument_again_does_nothing(clean):
    """The second call's methods hold, nothing is wrapped twice, and one `uninstrument` takes all back."""
    before = attributes()

    instrument(methods=["get_mode"])
    once = Client.get_stats
    instrument(methods=["get_stats"])
    assert Client.get_stats is not once
    assert not hasattr(Client.get_stats.__wrapped__, "__wrapped__")
    uninstrument()
    uninstrument()

    assert attributes() == before


def test_what_others_put_over_ours_stays(clean, monkeypatch):
    """Another tool's wrapper is not torn off by `uninstrument`, and ours below it falls silent."""
    original = Client.get_stats
    monkeypatch.setattr(upstream_cli, "async_main", empty_run)
    instrument(methods=["get_stats"])
    main = upstream_cli.main

    def theirs():
        return main()

    monkeypatch.setattr(upstream_cli, "main", theirs)
    uninstrument()

    assert upstream_cli.main is theirs
    assert Client.get_stats is original
    with capture_events() as captured:
        monkeypatch.setattr(sys, "argv", ["franklinwh-cli", "status"])
        theirs()
    assert captured.events == []


async def empty_run():
    """A run of the CLI that does nothing."""


def test_one_run_is_one_event(clean, monkeypatch):
    """Under `instrument` a run of the CLI that calls the client is one event, under `run_cli` around it too."""
    from franklinwh_telemetry.integrations.franklinwh_cloud import run_cli

    async def calling():
        await Stub().get_stats()

    async def get_stats(self):
        return {}

    monkeypatch.setattr(upstream_cli, "async_main", calling)
    monkeypatch.setattr(Client, "get_stats", get_stats)
    monkeypatch.setattr(sys, "argv", ["franklinwh-cli", "tou", "--extended"])
    with capture_events() as captured:
        instrument()
        upstream_cli.main()
        run_cli(upstream_cli.main)
        assert captured.commands == ["tou --extended"] * 2


def test_the_cli_and_its_calls(clean, monkeypatch):
    """With methods enabled there is an event for the run and one for each call from outside of the client."""

    async def calling():
        await Stub().get_stats()
        await Stub().set_mode(2)

    async def get_stats(self):
        return {}

    async def set_mode(self, mode):
        await self.get_stats()
        return False

    monkeypatch.setattr(upstream_cli, "async_main", calling)
    monkeypatch.setattr(Client, "get_stats", get_stats)
    monkeypatch.setattr(Client, "set_mode", set_mode)
    monkeypatch.setattr(sys, "argv", ["franklinwh-cli", "mode", "--set", "2"])
    with capture_events() as captured:
        instrument(methods=["get_stats", "set_mode"])
        upstream_cli.main()
    assert sorted(captured.outcomes) == [
        ("api get_stats", True),
        ("api set_mode", False),
        ("mode --set self_consumption", False),
    ]


def test_the_dispatcher_becomes_ours(clean, monkeypatch):
    """A program that calls the package's own dispatcher, as the policy shows, reaches ours under `instrument`."""
    monkeypatch.setattr(telemetry, "_send_telemetry_sync", lambda *_: pytest.fail("left"))

    with capture_events() as captured:
        instrument()
        telemetry.dispatch_cli_event("status", is_opted_in=True, execution_uuid="anonymous")

    assert captured.commands == ["status"]


def test_a_telemetry_of_ones_own_is_used(clean, monkeypatch):
    """The application, its vocabulary and its consent are the given one's, for the CLI and for the calls."""
    own = Telemetry("overlay", franklinwh_cloud_api.vocabulary(["aclose"]), consent=lambda: True)
    monkeypatch.setattr(upstream_cli, "async_main", empty_run)
    monkeypatch.setattr(sys, "argv", ["franklinwh-cli", "diag"])

    async def aclose(self):
        return None

    monkeypatch.setattr(Client, "aclose", aclose)
    with capture_events() as captured:
        assert instrument(own, methods=["aclose"]) is own
        upstream_cli.main()
        asyncio.run(Stub().aclose())
        own.flush()
        assert captured.commands == ["diag", "api aclose"]


@pytest.mark.parametrize(
    ("given", "methods", "says"),
    [
        (None, ["get_statistics"], "'get_statistics' is no reviewed method"),
        (None, "get_stats", "is no reviewed method"),
        (Telemetry("overlay", Vocabulary(["status"])), ["get_stats"], "'api get_stats' is not in the vocabulary"),
    ],
)
def test_methods_that_nobody_reviewed_are_refused(given, methods, says):
    """A mistake of the developer's shows at once, and nothing has been replaced."""
    before = attributes()

    with pytest.raises(ValueError, match=says):
        instrument(given, methods=methods)

    assert attributes() == before


def test_nothing_is_made_without_consent(clean, monkeypatch, isolated):
    """Under `instrument` a user who never said yes finds no file, and nothing in memory waits either."""

    async def get_stats(self):
        return {}

    monkeypatch.setattr(Client, "get_stats", get_stats)
    monkeypatch.setattr(upstream_cli, "async_main", empty_run)
    monkeypatch.setattr(sys, "argv", ["franklinwh-cli", "status"])
    used = instrument(methods=["get_stats"])

    upstream_cli.main()
    asyncio.run(Stub().get_stats())
    used.flush()

    assert [path for path in isolated.rglob("*") if path.is_file()] == []
    assert not list(used._queue or ())


@pytest.mark.parametrize("text", REFUSALS)
def test_a_warning_that_refuses_is_the_programs(text):
    """The words by which a refusing warning is told stand in the installed package, each in one place."""
    folder = Path(cli_output.__file__).parent
    places = [path for path in folder.rglob("*.py") if text in path.read_text(encoding="utf-8")]

    assert len(places) == 1


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


@pytest.mark.parametrize(
    ("say", "given", "expected"),
    [
        ("print_warning", "Unknown mode: bogus", [1]),
        ("print_warning", "No gateway specified, using: 1", []),
        ("print_json_output", {"error": "No aPower batteries found"}, [1]),
        ("print_json_output", {"error": None, "mode": 2}, []),
    ],
)
def test_other_words_that_tell_of_a_failure(failures, capsys, say, given, expected):
    """A warning that refuses and an error printed as JSON are failures; other warnings and results are none."""
    with Hooks(lambda: failures.append(1)):
        getattr(cli_output, say)(given)

    assert failures == expected
    assert capsys.readouterr() != ("", "")


def test_an_error_that_is_returned_counts(failures, monkeypatch):
    """`get_mode` tells of a failure by a result with an `error` in it."""

    async def get_mode(self):
        return {"error": "no answer"}

    monkeypatch.setattr(Client, "get_mode", get_mode)

    with Hooks(lambda: failures.append(1)):
        assert asyncio.run(Stub().get_mode()) == {"error": "no answer"}

    assert failures == [1]
