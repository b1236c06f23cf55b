"""
Non-interference: whatever a user's secrets are, what is written down and what leaves are the same bytes.

Two runs of one command with the same five facts, clock and random source, and with different secrets wherever a
program could find any, are compared record by record, journal by journal and request by request.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from franklinwh_cloud.const.tou import DISPATCH_CODES, valid_tou_modes
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

import support
from doubles.lines import LINES
from doubles.posthog import KNOWN_KEY, PostHogDouble
from franklinwh_telemetry import Telemetry, dispatch_cli_event
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from franklinwh_telemetry.sender.send import Ending, drain
from franklinwh_telemetry.testing import capture_events
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES = (
    "USER",
    "LOGNAME",
    "HOSTNAME",
    "FRANKLINWH_PASSWORD",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_EXPORTER_OTLP_HEADERS",
)
NOW_MS = 1_790_000_000_000
VOCABULARY = franklinwh_cloud.vocabulary()

CHOICES = frozenset((*map(str, DISPATCH_CODES), *valid_tou_modes))
"""What the program lists for `tou --set`; no other word of `LINES` is chosen from a list."""

WORDS = st.sampled_from([*VOCABULARY.commands, "other", "--help", "-h", "--version", "status", "true", "off", "%(x)s"])
SECRET = st.text(min_size=1, max_size=30) | WORDS | st.emails() | st.from_regex(r"\A10060006A[0-9]{11}\Z")


class Secrets(NamedTuple):
    """One user's: each is put wherever a program or a library could read it."""

    argument: str
    variable: str
    credential: str
    setting: str
    error: str
    name: str


SECRETS = st.builds(Secrets, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET)


class Case(NamedTuple):
    """What two runs have in common: the line but for its values, how it is recorded, and how it ends."""

    line: tuple[str, ...]
    way: str
    fails: bool


CASES = st.builds(Case, st.sampled_from(LINES), st.sampled_from(["run", "decorator", "dispatch"]), st.booleans())


@pytest.fixture(scope="module")
def destinations() -> Iterator[dict[str, str]]:
    """The keys of the ini for each kind of destination; the receivers outlive the cases, so that ports are equal."""
    with LoopbackReceiver() as otlp, PostHogDouble() as posthog:
        RECEIVERS.update(otlp=otlp, posthog=posthog.receiver)
        yield {
            "otlp": f"endpoint = {otlp.url}\n",
            "posthog": f"api_key = {KNOWN_KEY}\nposthog_host = {posthog.url}\n",
            "file": "",
        }


RECEIVERS: dict[str, LoopbackReceiver] = {}


@pytest.fixture(scope="module", autouse=True)
def clock() -> Iterator[None]:
    """The wall clock stands still, for the sender too."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: NOW_MS / 1000)
        patched.setitem(Journal.__init__.__kwdefaults__, "wall_clock_s", time.time)  # type: ignore[arg-type]
        yield


def as_value(secret: str) -> str:
    """The secret as an environment or a line of an ini can hold it: without an end of the line."""
    return "".join(character for character in secret if character not in "\0\r\n") or "-"


def as_file_name(secret: str) -> str:
    """The secret as the name of a folder."""
    return as_value(secret)[:40].replace("/", "_").strip(".") or "_"


def ini(secrets: Secrets, destination: str) -> str:
    """What franklinwh-cloud keeps in its ini, and the user's yes."""
    credential, setting = as_value(secrets.credential), as_value(secrets.setting)
    return (
        f"[credentials]\nemail = {credential}\npassword = {credential}\ngateway_id = {credential}\n\n"
        f"[battery]\nsoc = {setting}\nschedule = {setting}\n\n"
        f"{support.CONSENT}{destination}"
    )


def run(case: Case, secrets: Secrets) -> None:
    """Run a program whose every word, and whose failure, holds secrets; what it prints is its own."""
    telemetry = Telemetry(support.APPLICATION, VOCABULARY)
    # A word of its own that begins with a dash is an option to any parser, so that a value cannot be told there.
    bare = secrets.argument.lstrip("-+") or "x"
    # Nor can a secret where the program lists the choices: its `h` is a listed command, whoever types it.
    bare = "x" if re.sub("[- ]", "_", bare).upper() in CHOICES else bare
    line = [word.format(bare if word == "{}" else secrets.argument) for word in case.line]

    def main() -> None:
        sys.stdout.write(f"{secrets.name} {secrets.argument} {secrets.setting}\n")
        sys.stderr.write(f"{secrets.credential}\n")
        if case.fails:
            raise RuntimeError(secrets.error)

    command = next(word for word in case.line if word.isalpha())
    sys.argv = [as_value(secrets.name), *line]
    if case.way == "run":
        telemetry.run(main)
    elif case.way == "decorator":
        telemetry.command(command)(main)()
    else:
        dispatch_cli_event(command, True, support.VERSION_4, telemetry=telemetry)
        main()


class Seen(NamedTuple):
    """All that a run has left behind, but for the manifest, which stays here; and all that its destination saw."""

    files: dict[str, bytes]
    sent_files: dict[str, bytes]
    requests: list[bytes]


@contextlib.contextmanager
def recorded(case: Case, secrets: Secrets, destination: str, folder: Path) -> Iterator[Path]:
    """Run the case once, in a world of these secrets; yields the spool while that world stands."""
    place = folder / as_file_name(secrets.name)
    place.mkdir(exist_ok=True)
    with (
        pytest.MonkeyPatch.context() as patched,
        capture_events(ini=ini(secrets, destination), now_ms=NOW_MS, step_ms=7) as captured,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        patched.chdir(place)
        patched.setattr(sys, "argv", list(sys.argv))
        for name in VARIABLES:
            patched.setenv(name, as_value(secrets.variable))
        with contextlib.suppress(RuntimeError), captured.process():
            run(case, secrets)
        (spool,) = Path(os.environ["STATE_DIRECTORY"]).glob("franklinwh-telemetry/*/spool-*")
        yield spool


def observe(case: Case, secrets: Secrets, destination: str, kind: str, folder: Path) -> Seen:
    """Let a sender send what the run has recorded."""
    with recorded(case, secrets, destination, folder) as spool:
        files, before = contents(spool), len(requests(kind))
        assert drain(str(spool), grace_s=0.0) is Ending.DONE
        return Seen(files, contents(spool), requests(kind)[before:])


def requests(kind: str) -> list[bytes]:
    """What has come in so far at a destination of this kind, byte for byte."""
    return [request.raw for request in RECEIVERS[kind].requests] if kind in RECEIVERS else []


def contents(spool: Path) -> dict[str, bytes]:
    """The files of a spool by their names, without the manifest."""
    files = (path for path in spool.rglob("*") if path.is_file())
    return {path.relative_to(spool).as_posix(): path.read_bytes() for path in files if path.name != "manifest.json"}


@pytest.mark.timeout(600)
@settings(max_examples=2_000, phases=[Phase.explicit, Phase.generate])
@given(case=CASES, one=SECRETS, other=SECRETS)
@example(
    case=Case(("monitor", "--gateway={}"), "run", False),
    one=Secrets("a b", "a", "a", "a", "a", "a"),
    other=Secrets("ab", "b", "b", "b", "b", "b"),
)
@example(
    case=Case(("tou", "--set", "{}"), "run", False),
    one=Secrets("h", "a", "a", "a", "a", "a"),
    other=Secrets("hh", "b", "b", "b", "b", "b"),
)
def test_secrets_change_not_one_byte_of_a_record(
    tmp_path_factory: pytest.TempPathFactory, case: Case, one: Secrets, other: Secrets
) -> None:
    """What is written down is what any other user with the same five facts would have written down."""
    seen = []
    for secrets in (one, other):
        with recorded(case, secrets, "", tmp_path_factory.getbasetemp()) as spool:
            seen.append(contents(spool))

    assert seen[0] == seen[1]
    assert [name.partition("/")[0] for name in seen[0]] == ["new"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["otlp", "posthog", "file"])
@settings(max_examples=60, phases=[Phase.explicit, Phase.generate])
@given(case=CASES, one=SECRETS, other=SECRETS)
def test_secrets_change_not_one_byte_of_what_leaves(
    kind: str,
    destinations: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    case: Case,
    one: Secrets,
    other: Secrets,
) -> None:
    """Records, counts, journal, embedded file and requests are those of any other user with the same five facts."""
    folder = tmp_path_factory.mktemp("case")

    seen, expected = (observe(case, secrets, destinations[kind], kind, folder) for secrets in (one, other))

    assert seen == expected
    assert any(name.startswith("new/") for name in seen.files)
    assert seen.sent_files["counts/delivered"] == b"."
    assert bool(seen.requests) == (kind in RECEIVERS)
