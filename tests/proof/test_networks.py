"""
Networks that misbehave, end to end: real commands, the senders that they start, the real command line.

Whatever the network does, a command's output and status stay what they are, no event is lost, `status` says in one line
what is wrong and what to do, and once the weather clears every event is at its destination once.
"""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trustme

import support
from doubles import weather
from doubles.home import Home
from doubles.misfortune import REMEDY
from doubles.posthog import KNOWN_KEY, PostHogDouble
from doubles.scale import FULL
from doubles.weather import Certificates, Front, Reach
from franklinwh_telemetry import Vocabulary
from franklinwh_telemetry.decoding import decode
from franklinwh_telemetry.event import Record
from franklinwh_telemetry.launch import SENDER_MARK
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from franklinwh_telemetry.sender.posthog import event_uuid
from franklinwh_telemetry.status import read_trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from doubles.weather import Treatment

pytestmark = [pytest.mark.timeout(300), support.linux_only]

AT_ONCE = 4
"""So many storms rage at the same time: most of a storm is waiting."""

COMMANDS = 2
SAID = (3, "battery 81 %\n", "a warning\n")

PROGRAM = """
import sys
from franklinwh_telemetry import Telemetry, Vocabulary
telemetry = Telemetry("franklinwh-cloud", Vocabulary(["status"]))
@telemetry.command("status")
def main():
    print("battery 81 %")
    print("a warning", file=sys.stderr)
    return 3
sys.exit(main())
"""

HOST = "127.0.0.1"
FAR = "collector.invalid"
LATER = "it is tried again later; if that stays so, check the destination"
FOREIGN = "but not as this protocol does; log in to the network if it asks for it, else check the destination"
NOT_VERIFIED = "its certificate could not be verified; if that stays so, name the authority in SSL_CERT_FILE"
NO_PROXY = "the proxy did not connect; check the proxy variables, or NO_PROXY"
WRONG_PASSWORD = "user:surprise@"
PASSWORD = "user:word@"


@dataclass(frozen=True, kw_only=True)
class Storm:
    """
    One kind of weather, and the line in which `status` speaks of it.

    *shows* is the certificate of a server that has TLS. *via* is the scheme of a destination that only a proxy reaches,
    and *knows* what stands before the proxy's address in its variable until the weather clears; None for no variable.
    *taken* says that the receiver has the events already, although the sender cannot know.
    """

    name: str
    says: str
    treat: Treatment = weather.shine
    reach: Reach = Reach.MADE
    shows: str = ""
    via: str = ""
    knows: str | None = None
    kinds: tuple[str, ...] = ("otlp", "posthog")
    taken: bool = False


ELSEWHERE = ("Location", "http://127.0.0.1:9/surprise")

STORMS = [
    Storm(name="swallowed", says=f"{HOST}: no answer in time; {LATER}", reach=Reach.SWALLOWED),
    Storm(name="silent", says=f"{HOST}: no answer in time; {LATER}", treat=weather.silent, kinds=("posthog", "otlp")),
    Storm(name="dripping", says=f"{HOST}: no answer in time; {LATER}", treat=weather.dripping),
    Storm(name="refused", says=f"{HOST}: the connection was refused; {LATER}", reach=Reach.REFUSED),
    Storm(name="endless", says=f"{HOST} answered 200, {FOREIGN}", treat=weather.endless, kinds=("posthog", "otlp")),
    Storm(name="half closed", says=f"{HOST}: the connection broke; {LATER}", treat=weather.half_closed),
    Storm(
        name="reset in the answer",
        says=f"{HOST}: the connection broke; {LATER}",
        treat=weather.reset_in_answer,
        kinds=("otlp",),
        taken=True,
    ),
    Storm(name="another host's certificate", says=f"{HOST}: {NOT_VERIFIED}", shows="of_another_host"),
    Storm(name="expired", says=f"{HOST}: {NOT_VERIFIED}", shows="expired", kinds=("posthog", "otlp")),
    Storm(name="self-signed", says=f"{HOST}: {NOT_VERIFIED}", shows="self_signed"),
    Storm(
        name="redirect",
        says=f"{HOST} answered 302: a redirect, which is never followed; check the destination",
        treat=weather.answering(302, ELSEWHERE),
        kinds=("posthog", "otlp"),
    ),
    Storm(name="captive portal", says=f"{HOST} answered 200, {FOREIGN}", treat=weather.answering(200)),
    Storm(name="too many", says=f"{HOST} answered 429; it is asked again later", treat=weather.answering(429)),
    Storm(
        name="broken",
        says=f"{HOST} answered 500; it is asked again later",
        treat=weather.answering(500),
        kinds=("posthog", "otlp"),
    ),
    Storm(
        name="credentials",
        says=f"{HOST} answered 403: it does not let this sender in; check the destination",
        treat=weather.answering(403),
    ),
    Storm(
        name="revoked key",
        says=f"{HOST}: the project key is unknown there; check api_key and posthog_host",
        treat=weather.revoked,
        kinds=("posthog",),
    ),
    Storm(
        name="revoked key, refused everywhere",
        says=f"{HOST}: the project key is unknown there; check api_key and posthog_host",
        treat=weather.revoked_and_enforced,
        kinds=("posthog",),
    ),
    Storm(name="unknown name", says=f"{FAR}: its name was not found; {LATER}", via="https"),
    Storm(name="proxy that is away", says=f"{FAR}: {NO_PROXY}", via="https", knows=PASSWORD, reach=Reach.REFUSED),
    Storm(name="proxy without a password", says=f"{FAR}: {NO_PROXY}", via="https", knows="", kinds=("posthog", "otlp")),
    Storm(name="proxy with a wrong password", says=f"{FAR}: {NO_PROXY}", via="https", knows=WRONG_PASSWORD),
    Storm(
        name="forwarding proxy without a password",
        says=f"{FAR} answered 407: a proxy asks for credentials; check the proxy variables",
        via="http",
        knows="",
    ),
]
CASES = [(storm, kind) for storm in STORMS for kind in storm.kinds[: None if FULL else 1]]


@dataclass(frozen=True, kw_only=True)
class Story:
    """What became of the commands of one storm: during it, and after it had cleared."""

    commands: list[tuple[int, str, str]]
    kept: int
    lost: dict[str, int] = field(default_factory=dict)
    troubles: list[str]
    pause_is_told: bool
    sent: tuple[int, str, str]
    waiting: int
    trouble: str | None
    arrived: list[str]
    twice: bool


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where a storm rages: what the ini and the environment say of the way, then and afterwards, and its end."""

    ini: list[str]
    before: dict[str, str]
    after: dict[str, str]
    clear: Callable[[], None]


def scene(storm: Storm, receiver: Receiver, certificates: Certificates, opened: ExitStack) -> Scene:
    """Set the scene, in front of *receiver*."""
    if storm.via:
        return far_scene(storm, receiver, certificates, opened)
    tls = getattr(certificates, storm.shows)() if storm.shows else None
    front = opened.enter_context(Front(receiver.port, storm.treat, reach=storm.reach, tls=tls))
    good = certificates.good() if tls else None
    return Scene(ini=receiver.ini(front.url), before={}, after={}, clear=lambda: front.turn(weather.shine, tls=good))


def far_scene(storm: Storm, receiver: Receiver, certificates: Certificates, opened: ExitStack) -> Scene:
    """The same for a destination that is reached through a proxy alone."""
    behind = receiver.port
    if storm.via == "https":
        behind = opened.enter_context(Front(behind, weather.shine, tls=certificates.good(FAR))).port
    treat = weather.proxy(PASSWORD.rstrip("@"))
    front = opened.enter_context(Front(behind, treat, reach=storm.reach))
    variable = f"{storm.via}_proxy"
    return Scene(
        ini=[*receiver.ini(f"{storm.via}://{FAR}"), *(["allow_http = true"] if storm.via == "http" else [])],
        before={} if storm.knows is None else {variable: f"http://{storm.knows}{HOST}:{front.port}"},
        after={variable: f"http://{PASSWORD}{HOST}:{front.port}"},
        clear=lambda: front.turn(treat),
    )


def weathered(storm: Storm, kind: str, folder: Path, certificates: Certificates) -> tuple[Story, list[str]]:
    """Live through a storm; also what should have arrived, by the ids of the protocol."""
    with ExitStack() as opened:
        receiver = opened.enter_context(Receiver(kind))
        set_scene = scene(storm, receiver, certificates, opened)
        home = Home(folder, *set_scene.ini, SSL_CERT_FILE=str(folder.parent / "authority.pem"), **set_scene.before)
        home.write_program(PROGRAM)

        commands = [home.run("host.py") for _number in range(COMMANDS)]
        home.wait_for_senders()
        assert storm.taken or receiver.arrived() == []
        expected = [receiver.id_of(record) for record in records(home)]
        lines = said(home)
        during = {
            "commands": commands,
            "kept": home.waiting(),
            "lost": lost(home),
            "troubles": [text for label, text in lines if label == "last trouble"],
            "pause_is_told": any("`franklinwh-telemetry send` makes one now" in text for _label, text in lines),
        }

        set_scene.clear()
        home.variables.update(set_scene.after)
        return clear(home, receiver, **during), expected


def clear(home: Home, receiver: Receiver, **during: object) -> Story:
    """Send what a storm has left, and close its story."""
    sent = home.telemetry("send")
    (spool,) = home.spools()
    trouble = read_trouble(spool)
    arrived = receiver.arrived()
    return Story(
        **during,  # type: ignore[arg-type]
        sent=sent,
        waiting=home.waiting(),
        trouble=trouble.message if trouble else None,
        arrived=sorted(set(arrived)),
        twice=len(arrived) > len(set(arrived)),
    )


def records(home: Home) -> list[Record]:
    """The records that wait."""
    vocabulary = Vocabulary(["status"])
    found = [decode(spool.read(name) or b"", vocabulary) for spool in home.spools() for name in spool.names()]
    return [record for record in found if isinstance(record, Record)]


def said(home: Home) -> list[tuple[str, str]]:
    """The facts that `status` tells, each with its label."""
    status, told, errors = home.telemetry("status")
    assert (status, errors) == (0, "")
    assert "surprise" not in told
    found = [re.match(r" +([a-z ]+?)  +(.*)", line) for line in told.splitlines()]
    return [(match[1], match[2]) for match in found if match]


def lost(home: Home) -> dict[str, int]:
    """What has been counted of events that will never arrive, and of errors."""
    lossy = ("refused", "dropped", "discarded", "errors")
    return {name: count for name, count in home.counts().items() if name.startswith(lossy)}


class Receiver:
    """A good receiver of either kind: an OTLP one, or PostHog."""

    def __init__(self, kind: str) -> None:
        self._posthog = PostHogDouble() if kind == "posthog" else None
        self._receiver = self._posthog.receiver if self._posthog else LoopbackReceiver()
        self.port = 0

    def __enter__(self) -> Receiver:
        self._receiver.__enter__()
        self.port = self._receiver.port
        return self

    def __exit__(self, *exception: object) -> None:
        self._receiver.__exit__(*exception)

    def ini(self, url: str) -> list[str]:
        """The lines of an ini that lead to it by *url*."""
        return [f"api_key = {KNOWN_KEY}", f"posthog_host = {url}"] if self._posthog else [f"endpoint = {url}"]

    def id_of(self, record: Record) -> str:
        """By which it would know a record again."""
        return str(event_uuid(record)) if self._posthog else f"{record.span_id:016x}"

    def arrived(self) -> list[str]:
        """The ids of what it has got, each as often as it came."""
        if self._posthog:
            return [str(found["uuid"]) for found in self._posthog.events]
        return [span.span_id.hex() for span in self._receiver.spans]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificates, Path]:
    """Certificates, and a folder in which the authority that is trusted lies as `authority.pem`."""
    folder = tmp_path_factory.mktemp("storms")
    trusted = trustme.CA()
    trusted.cert_pem.write_to_path(str(folder / "authority.pem"))
    return Certificates(trusted), folder


@pytest.fixture(scope="module", autouse=True)
def stories(authority: tuple[Certificates, Path]) -> Iterator[Callable[[Storm, str], tuple[Story, list[str]]]]:
    """Let all storms rage, a few at a time, while other tests run; each of their own tests waits for its story."""
    certificates, folder = authority
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures: dict[tuple[str, str], Future[tuple[Story, list[str]]]] = {
            (storm.name, kind): pool.submit(weathered, storm, kind, folder / f"{number}", certificates)
            for number, (storm, kind) in enumerate(CASES)
        }
        yield lambda storm, kind: futures[storm.name, kind].result()
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def posthog() -> Iterator[PostHogDouble]:
    """A PostHog that knows the key."""
    with PostHogDouble() as found:
        yield found


def resident(folder: Path, *lines: str, **variables: str) -> Home:
    """Somebody who runs the program."""
    home = Home(folder / "resident", *lines, **variables)
    home.write_program(PROGRAM)
    return home


def test_a_pause_that_was_asked_for_is_kept(tmp_path: Path) -> None:
    """After a 429 with `Retry-After`, commands start no sender for as long; `status` tells until when."""
    asked_s = 7200
    with (
        LoopbackReceiver() as receiver,
        Front(receiver.port, weather.answering(429, ("Retry-After", str(asked_s)))) as front,
    ):
        home = resident(tmp_path, f"endpoint = {front.url}")
        began_s = time.time()
        assert home.run("host.py") == SAID
        home.wait_for_senders()
        launched = home.counts()["senders_launched"]
        (spool,) = home.spools()
        trouble = read_trouble(spool)
        assert trouble is not None
        until_s = trouble.until_ms / 1000
        assert began_s + asked_s <= until_s <= time.time() + asked_s
        (told,) = [text for _label, text in said(home) if "the next attempt is not before" in text]
        assert time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(until_s)) in told

        front.turn(weather.shine)
        assert home.run("host.py") == SAID
        assert (home.counts()["senders_launched"], home.waiting(), receiver.requests) == (launched, 2, [])
        assert home.telemetry("send") == (0, "Sent 2 events.\n", "")
        assert len(receiver.spans) == 2


def test_the_next_command_after_the_pause_brings_all(tmp_path: Path) -> None:
    """Nobody has to do anything after an error that passes: another command, later, is enough."""
    with LoopbackReceiver() as receiver, Front(receiver.port, weather.answering(500)) as front:
        home = resident(tmp_path, f"endpoint = {front.url}")
        assert home.run("host.py") == SAID
        home.wait_for_senders()
        assert (home.waiting(), receiver.spans) == (1, [])

        front.turn(weather.shine)
        home.let_pauses_end()
        assert home.run("host.py") == SAID
        home.wait_for_senders()
        assert (home.waiting(), len(receiver.spans), home.counts()["delivered"]) == (0, 2, 2)
        assert [label for label, _text in said(home) if label == "last trouble"] == []


def test_a_key_that_is_revoked_in_between_loses_nothing(tmp_path: Path, posthog: PostHogDouble) -> None:
    """What is recorded after the key was found bad waits until it is good again; what came before had arrived."""
    with Front(posthog.receiver.port, weather.shine) as front:
        home = resident(tmp_path, f"api_key = {KNOWN_KEY}", f"posthog_host = {front.url}")
        assert home.run("host.py") == SAID
        home.wait_for_senders()
        assert len(posthog.events) == 1

        front.turn(weather.revoked)
        (spool,) = home.spools()
        yesterday_s = time.time() - 25 * 60 * 60
        os.utime(spool.path("key-is-good"), (yesterday_s, yesterday_s))
        assert home.run("host.py") == SAID
        home.wait_for_senders()
        assert [text for label, text in said(home) if label == "last trouble"] == [
            f"{HOST}: the project key is unknown there; check api_key and posthog_host"
        ]
        assert (home.waiting(), len(posthog.events), front.heard[-1]) == (1, 1, "POST /flags/?v=2 HTTP/1.1")

        front.turn(weather.shine)
        assert home.telemetry("send") == (0, "Sent 1 event.\n", "")
        assert (home.waiting(), len(posthog.events)) == (0, 2)


def test_only_what_is_refused_for_good_is_dropped(tmp_path: Path, posthog: PostHogDouble) -> None:
    """One event that the destination will never take goes, counted and told; its neighbours arrive, once."""
    home = resident(tmp_path, f"api_key = {KNOWN_KEY}", f"posthog_host = {posthog.url}")
    home.variables[SENDER_MARK] = "1"
    assert [home.run("host.py") for _number in range(3)] == [SAID] * 3
    first, bad, last = (str(event_uuid(record)) for record in records(home))
    posthog.refuses = {bad}

    assert home.telemetry("send") == (0, "Sent 2 events.\n", "")

    assert [found["uuid"] for found in posthog.events] == [first, last]
    assert (home.waiting(), lost(home)) == (0, {"refused_refused_with_status_400": 1})
    assert [text for label, text in said(home) if label == "not sent"] == ["refused refused with status 400: 1"]


@pytest.mark.parametrize(("storm", "kind"), CASES, ids=[f"{storm.name}-{kind}" for storm, kind in CASES])
def test_a_storm_costs_nobody_anything(
    stories: Callable[[Storm, str], tuple[Story, list[str]]], storm: Storm, kind: str
) -> None:
    """The command is untouched, all is kept, `status` names reason and remedy, and then all of it arrives, once."""
    story, expected = stories(storm, kind)

    assert story == Story(
        commands=[SAID] * COMMANDS,
        kept=COMMANDS,
        troubles=[storm.says],
        pause_is_told=True,
        sent=(0, f"Sent {COMMANDS} events.\n", ""),
        waiting=0,
        trouble=None,
        arrived=sorted(expected),
        twice=storm.taken,
    )
    assert len(expected) == COMMANDS
    assert REMEDY.search(storm.says) or "it is asked again later" in storm.says
