"""
Crash consistency: a host and a sender are killed, or told of an error, at each of their system calls in turn.

`make test` strikes a sample of the calls, which is the same in every run; `make crash` strikes them all.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import support
from doubles import crashing
from doubles.aftermath import LocalFile, Otlp, PostHog, User, event_name
from doubles.debian import found_or_installed
from doubles.faults import ERRORS, KILL, Call, Ended, Nursery, sampled
from doubles.scale import FULL
from franklinwh_telemetry.launch import SENDER_MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from doubles.aftermath import Place

pytestmark = [support.linux_only, pytest.mark.timeout(7200 if FULL else 600)]

OWN = [event_name(1, 2), event_name(3, 4)]
"""The events of a host's two commands."""

UNCHANGED = (crashing.STATUS, crashing.OUTPUT, crashing.WARNING)

HOSTS = ("commands", "crowded", "hook", "flush")
PLACES: dict[str, Callable[[], Place]] = {"otlp": Otlp, "posthog": PostHog, "file": LocalFile}

Strike = tuple[Call, str]


@pytest.fixture(scope="session")
def strace() -> str:
    """What injects the faults."""
    return found_or_installed("strace")


@pytest.fixture
def host(strace: str, tmp_path: Path) -> Iterator[Nursery]:
    """Hosts, whose senders die at once."""
    environment = {name: text for name, text in os.environ.items() if name != SENDER_MARK}
    with Nursery(strace, "host", tmp_path, environment) as nursery:
        yield nursery


@pytest.fixture
def sender(strace: str, tmp_path: Path) -> Iterator[Nursery]:
    """Senders that wait for nothing."""
    with Nursery(strace, "sender", tmp_path, os.environ) as nursery:
        yield nursery


@pytest.fixture
def user() -> Iterator[User]:
    """Somebody who has said yes to an OTLP receiver."""
    with Otlp() as otlp:
        made = User(otlp)
        made.say("true")
        yield made


@pytest.fixture
def report(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """What went wrong, each in one line, of which there may be none; the figures are told at the scale `full`."""
    found: list[str] = []
    figures: list[int] = []
    request.node.figures = figures
    yield found
    if FULL:
        with capsys.disabled():
            sys.stdout.write(f"\n{request.node.name}: {len(figures)} faults, {sum(figures)} of them met their call\n")


def strike_all(
    request: pytest.FixtureRequest,
    report: list[str],
    strikes: list[Strike],
    strike: Callable[[Strike], tuple[Ended, list[str]]],
) -> None:
    """Let *strike* do each and say what is wrong then; hardly any may miss its call."""
    assert strikes
    met: list[int] = request.node.figures
    for case in strikes:
        ended, wrong = strike(case)
        met.append(ended.was_struck)
        call, fault = case
        report += [f"{fault} at {call.name} {call.number} ({call.words[:150]}): {line}" for line in wrong]
    assert report == []
    assert sum(met) >= 0.9 * len(met)


def errors_of(calls: list[Call]) -> list[Strike]:
    """Each call with each error that it may fail with."""
    return [(call, error) for call in calls for error in ERRORS if call.can_fail_with(error)]


def kills_of(calls: list[Call]) -> list[Strike]:
    """Each call, at which the program is killed."""
    return [(call, KILL) for call in calls]


def prepare(user: User, run: str) -> list[str]:
    """The state in which a run begins; the events that wait then, oldest first."""
    user.begin()
    numbers = range(101, 108) if run == "crowded" else range(0)
    if run == "crowded":
        user.put(numbers)
    return [event_name(0xA000 + number, number) for number in numbers]


def listed(nursery: Nursery, user: User, run: str, *arguments: str) -> list[Call]:
    """The calls of a run that nothing strikes; it is the second one, for which all is in its place."""
    user.settle()
    prepare(user, run)
    nursery.run(run, user.folder, *arguments)
    prepare(user, run)
    ended, calls = nursery.calls(run, user.folder, *arguments)
    assert ended[:3] == UNCHANGED
    # All of them load the same modules, which need be struck in one of them only.
    return calls if run == "commands" else [call for call in calls if not call.loads_code()]


@pytest.mark.parametrize("run", HOSTS)
def test_a_host_may_be_killed_at_any_call(host, user, request, report, run) -> None:
    """Every event whose recording had returned arrives, with its ids; what lies around is cleared away in an hour."""
    calls = listed(host, user, run)

    def strike(case: Strike) -> tuple[Ended, list[str]]:
        waited = prepare(user, run)
        ended = host.strike(run, user.folder, *case)
        arrived = user.run_later()
        wrong = [f"{name} is lost" for name in OWN[: ended.returned] if name not in arrived]
        # Each new one has at most one of the old ones dropped, when there are more than may wait.
        if waited and len(arrived & set(waited)) < len(waited) - len(arrived & {*OWN}):
            wrong.append(f"more were dropped than came in: {len(arrived & set(waited))} are left")
        return ended, wrong + [f"{name} is left behind" for name in user.left_behind()]

    strike_all(request, report, sampled(kills_of(calls), 12, run), strike)


@pytest.mark.parametrize("run", HOSTS)
def test_no_error_at_any_call_changes_anything_for_the_host(host, user, request, report, run) -> None:
    """
    Its result, both its outputs and its exit status stay as they are.

    One error costs one event at most, or what one `flush` would have written; an interrupted call on our files none.
    """
    calls = listed(host, user, run)
    made = {*OWN} if run != "hook" else {OWN[0]}
    at_most = 2 if run == "flush" else 1

    def strike(case: Strike) -> tuple[Ended, list[str]]:
        prepare(user, run)
        ended = host.strike(run, user.folder, *case)
        wrong = [] if ended[:3] == UNCHANGED else [f"it ended as {ended[:3]}"]
        lost = len(made - user.run_later())
        call, error = case
        if lost > at_most or (lost and error == "EINTR" and user.is_named_in(call.words)):
            wrong.append(f"{lost} events are lost")
        return ended, wrong + [f"{name} is left behind" for name in user.left_behind()]

    strike_all(request, report, sampled(errors_of(calls), 24, run), strike)


NOES = {
    "a no at home": ("true", "home_ini", "false"),
    "a no in the working folder": ("false", "home_ini", "true"),
    "a no in the folder below": ("true", "lower_ini", "off"),
}


@pytest.mark.parametrize("run", ["commands", "hook"])
@pytest.mark.parametrize("case", NOES)
def test_no_error_at_any_call_passes_over_a_no(host, user, request, report, run, case) -> None:
    """An ini that says no is heard or the doubt counts as one: nothing is written down that could ever leave."""
    first, where, second = NOES[case]
    user.say(first)
    user.say(second, path=getattr(user, where))
    calls = listed(host, user, run)

    def strike(case: Strike) -> tuple[Ended, list[str]]:
        user.begin()
        ended = host.strike(run, user.folder, *case)
        wrong = [] if ended[:3] == UNCHANGED else [f"it ended as {ended[:3]}"]
        return ended, wrong + [f"{path} was written" for path in Path(support.state_root()).rglob("*")]

    strike_all(request, report, sampled(errors_of(calls), 12, (run, case)), strike)


def test_a_host_that_throws_away_what_waits_may_be_struck_at_any_call(host, user, request, report) -> None:
    """What was recorded before the no leaves neither under it nor under a yes that is given after it was heard."""
    old = {event_name(0xA000 + number, number) for number in (101, 102, 103)}

    def begin() -> None:
        user.say("true")
        user.begin()
        user.put((101, 102, 103))
        user.say("false")

    begin()
    host.run("commands", user.folder)
    begin()
    _ended, calls = host.calls("commands", user.folder)

    def strike(case: Strike) -> tuple[Ended, list[str]]:
        begin()
        ended = host.strike("commands", user.folder, *case)
        wrong = [] if ended.status == -signal.SIGKILL or ended[:3] == UNCHANGED else [f"it ended as {ended[:3]}"]
        if any(os.path.exists(spool.path("manifest.json")) for spool in support.spools()):
            user.send()
        user.say("true")
        arrived = user.run_later()
        if len(arrived) != 1 or arrived & old:
            wrong.append(f"{len(arrived)} have arrived, not the new one alone")
        return ended, wrong + [f"{name} is left behind" for name in user.left_behind()]

    strike_all(request, report, sampled(kills_of(calls) + errors_of(calls), 24, "withdrawn"), strike)


WAITING = [event_name(0xA000 + number, number) for number in (101, 102, 103, 104)]


def prepare_spool(user: User) -> str:
    """A spool in which records wait, one of them claimed by a sender that was killed; its folder."""
    user.begin()
    spool = user.put((101, 102, 103))
    user.put((104,), "claimed")
    Path(spool.path("wake")).touch()
    return spool.folder


def listed_sender(sender: Nursery, user: User) -> list[Call]:
    """The calls of a sender that nothing strikes."""
    user.settle()
    sender.run("sender", user.folder, prepare_spool(user))
    ended, calls = sender.calls("sender", user.folder, prepare_spool(user))
    assert (ended.status, ended.warnings) == (0, "")
    return calls


def strike_senders(
    sender, request, report, place: str, strikes_of: Callable[[list[Call]], list[Strike]], sample: int
) -> None:
    """Strike a sender to *place* at each call, and look at what the later runs make of it."""
    with PLACES[place]() as there:
        user = User(there)
        user.say("true")
        calls = listed_sender(sender, user)

        def strike(case: Strike) -> tuple[Ended, list[str]]:
            folder = prepare_spool(user)
            ended = sender.strike("sender", user.folder, *case, folder)
            return ended, aftermath(user)

        strike_all(request, report, sampled(strikes_of(calls), sample, place), strike)


@pytest.mark.parametrize("place", PLACES)
def test_a_sender_may_be_killed_at_any_call(sender, request, report, place) -> None:
    """Whatever it was doing, all that waited arrives, with its ids; what lies around is cleared away in an hour."""
    strike_senders(sender, request, report, place, kills_of, 12)


def aftermath(user: User) -> list[str]:
    """What is wrong once the later runs have done their work."""
    arrived = user.run_later()
    wrong = [f"{name} is lost" for name in WAITING if name not in arrived]
    return wrong + [f"{name} is left behind" for name in user.left_behind()]


@pytest.mark.parametrize("place", PLACES)
def test_no_error_at_any_call_of_a_sender_loses_an_event(sender, request, report, place) -> None:
    """What has not been acknowledged is kept, and arrives with a later run."""
    strike_senders(sender, request, report, place, errors_of, 24)


@pytest.mark.parametrize("where", ["its own ini", "the home"])
def test_nothing_leaves_after_a_no_whatever_strikes_the_sender(sender, user, request, report, where) -> None:
    """A sender that cannot read the answer sends nothing; neither does the next."""
    folder = prepare_spool(user)
    user.keep_state()
    user.say("false", path=user.home_ini if where == "the home" else user.ini)
    user.settle()
    sender.run("sender", user.folder, folder)
    user.restore_state()
    _ended, calls = sender.calls("sender", user.folder, folder)

    def strike(case: Strike) -> tuple[Ended, list[str]]:
        user.restore_state()
        ended = sender.strike("sender", user.folder, *case, folder)
        user.send()
        wrong = [f"{name} has left" for name in user.place.arrived()]
        return ended, wrong

    strike_all(request, report, sampled(errors_of(calls) + kills_of(calls), 16, where), strike)
