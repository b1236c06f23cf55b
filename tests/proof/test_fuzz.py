"""
Fuzzing: whatever bytes lie where a parser of ours reads, it answers with a value of its own or its own refusal.

Never an error, nothing of a stranger's text where only our own may stand, and, of the longest that is read at all, not
more time or memory than that is worth. In `make test` each property sees the same few hundred examples; `make fuzz`
draws new ones for FUZZ_SECONDS each. What that finds is kept beside the property, as an `example`.
"""

from __future__ import annotations

import functools
import json
import os
import string
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from conftest import ROOT
from doubles.records import VOCABULARY, make_record
from franklinwh_telemetry import inifile, inisyntax
from franklinwh_telemetry.address import MAX_URL_LENGTH, BadDestination, split_url
from franklinwh_telemetry.consent import Granted, read_consent
from franklinwh_telemetry.decoding import RecordRefusal, decode
from franklinwh_telemetry.destination import Destination, choose, parse_destination
from franklinwh_telemetry.event import (
    MAX_RECORD_BYTES,
    Record,
    encode,
    parse_execution_uuid,
)
from franklinwh_telemetry.inifile import MAX_INI_BYTES, Ini, IniProblem
from franklinwh_telemetry.lookup import Denied, parse_application
from franklinwh_telemetry.manifestfile import parse_manifest
from franklinwh_telemetry.sender import otlp, posthog
from franklinwh_telemetry.sender.acknowledge import Accepted, Refused, Trouble, judge
from franklinwh_telemetry.sender.answer import (
    MAX_ANSWER_BYTES,
    MAX_RETRY_AFTER_S,
    Answer,
    media_type,
    parse_retry_after,
)
from franklinwh_telemetry.sender.journal import Journal
from franklinwh_telemetry.sender.readable import decoded, facts_of, readable
from franklinwh_telemetry.spool import APPLICATION, MAX_MANIFEST_BYTES, Manifest
from franklinwh_telemetry.statefolder import Tally
from franklinwh_telemetry.status import MAX_TROUBLE_BYTES
from franklinwh_telemetry.status import Trouble as KeptTrouble
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""How long each property is fuzzed; 0 for the same examples on every run."""

EXAMPLES = 150
FUZZ_EXAMPLES = 300
MAX_CPU_S = 20.0
"""A hundred times what the slowest parser takes for the longest that it reads."""
MAX_MEMORY_BYTES = 96 * 1024 * 1024

WORDS = franklinwh_cloud.vocabulary()
SURPRISE = "surprise"
SECRET = "hunter2"


def fuzzed(*examples: Any, **strategies: Any) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Make a property a test: of fixed examples, or, where that is asked for, of new ones until the time is over."""

    def decorate(check: Callable[..., None]) -> Callable[[], None]:
        def run(**how: Any) -> None:
            drawn = given(**strategies)(check)
            for each in examples:
                drawn = example(**each)(drawn)
            settings(**how)(drawn)()

        @functools.wraps(check)
        def test() -> None:
            end_s = time.monotonic() + SECONDS
            run(max_examples=EXAMPLES)
            found = DirectoryBasedExampleDatabase(ROOT / ".hypothesis" / "examples")
            while time.monotonic() < end_s:
                run(max_examples=FUZZ_EXAMPLES, derandomize=False, database=found, print_blob=True)

        del test.__wrapped__  # pytest would ask it for fixtures
        return test

    return decorate


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(SURPRISE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DEEP = st.sampled_from([b"[" * 30_000, b'{"a":' * 12_000, b"[" * 30_000 + b"]" * 30_000, b"9" * 10_000, b"-", b"\xff"])
BYTES = st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode()) | DEEP


def altered(fields: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """JSON of an object with some of its values replaced, taken out or added to: nearly right, as a damaged file is."""
    changes = st.dictionaries(st.sampled_from([*fields, SURPRISE]), JSON, max_size=3)
    missing = st.sets(st.sampled_from(list(fields)), max_size=1)
    made = st.builds(lambda new, gone: {k: v for k, v in {**fields, **new}.items() if k not in gone}, changes, missing)
    return made.map(lambda value: json.dumps(value).encode())


def cut(whole: bytes) -> st.SearchStrategy[bytes]:
    """The bytes torn somewhere, or with some in the middle that belong elsewhere."""
    places = st.integers(0, len(whole))
    return st.builds(lambda at, noise: whole[:at] + noise + whole[at:], places, st.binary(max_size=6)) | places.map(
        lambda at: whole[:at]
    )


def test_new_examples_are_drawn_for_as_long_as_is_asked(monkeypatch):
    """With a time given, more is drawn than on every run; without, the very same again."""
    drawn: list[int] = []

    @fuzzed(number=st.integers())
    def test(number: int) -> None:
        drawn.append(number)

    monkeypatch.setitem(globals(), "SECONDS", 0.0)
    test()
    once = list(drawn)
    drawn.clear()
    test()
    assert drawn == once

    drawn.clear()
    monkeypatch.setitem(globals(), "SECONDS", 0.5)
    test()
    assert len(drawn) > len(once)
    assert len(set(drawn) - set(once)) > EXAMPLES


# --- records


@fuzzed(data=BYTES | altered(json.loads(encode(make_record()))) | cut(encode(make_record())))
def test_record(data: bytes) -> None:
    """A record that is read writes itself again, and says a listed command; all else is refused by name."""
    found = decode(data, VOCABULARY)
    if isinstance(found, RecordRefusal):
        return
    assert isinstance(found, Record)
    assert found.event.command.text in (*VOCABULARY.commands, "other")
    again = encode(found)
    assert decode(again, VOCABULARY) == found
    assert json.loads(again) == json.loads(data)


@fuzzed(text=st.text() | st.from_regex(r"\A[0-9a-fA-F-]{36}\Z") | st.uuids().map(str) | st.emails())
def test_execution_uuid(text: str) -> None:
    """A text is a random UUID, the very one that it spells, or none."""
    found = parse_execution_uuid(text)
    assert found is None or (str(found) == text.strip().lower() and found.version == 4)


# --- the user's ini

LINES = st.sampled_from(
    [
        "[telemetry]",
        "[telemetry myapp]",
        "[DEFAULT]",
        "[account]",
        "enabled = true",
        "enabled: off",
        "enabled",
        "  enabled = yes",
        "ENABLED=1",
        f"password = {SECRET}",
        f"{SECRET}",
        "uuid = anonymous",
        "policy = 1",
        "destination = us.i.posthog.com",
        "endpoint = https://collector.example.com",
        "api_key = phc_abc",
        "# a remark",
        "; a remark",
        "",
        "   ",
        "[",
        "]",
        "=",
        ":",
        "%(x)s",
        "\ufeff[telemetry]",
        "\x00",
        "\x1c",
        "\u2028enabled = true",
    ]
)
INI = st.lists(LINES | st.text(max_size=12), max_size=14).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", "\r"]).map(
        lambda end: end.join(lines).encode("utf-8", "surrogatepass")
    )
) | st.binary(max_size=200)


@fuzzed(data=INI)
def test_ini(data: bytes) -> None:
    """Any file gives telemetry sections alone, or a problem that repeats nothing of it; consent answers too."""
    path = Path("franklinwh.ini").resolve()
    path.write_bytes(data)
    inifile._cache.clear()
    found = inifile.read(str(path), explicit=True)
    if isinstance(found, IniProblem):
        assert SECRET not in repr(found)
        assert found.detail.isprintable()
    else:
        assert isinstance(found, Ini)
        assert all(inifile.is_telemetry(name) for name in found.sections)
        assert SECRET not in repr(found)
    answer = read_consent("myapp", config=path, environ={}, cwd="/", home="/nowhere", machine_ini="/nowhere/x")
    assert isinstance(answer, (Granted, Denied))
    if isinstance(answer, Denied):
        assert answer.explanation.isprintable()
        assert SECRET not in answer.explanation
    else:
        assert isinstance(choose(answer.routing), (Destination, BadDestination))


@fuzzed(text=st.text(max_size=80) | st.text(alphabet=string.ascii_lowercase + "0123456789._-", max_size=70))
def test_application(text: str) -> None:
    """A name is one that is no path, no option and no device, or none."""
    name = parse_application(text)
    assert name is None or (name == text and name.isascii() and "/" not in name and name[0] not in ".-")


# --- destinations

URL = (
    st.text(max_size=60)
    | st.text(alphabet="htps:/@.[]%?#1a_-:", max_size=40)
    | st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["https", "http", "HTTPS", "ftp", ""]),
        st.sampled_from(
            ["a.example", "127.0.0.1", "[::1]", "0x7f.1", "127.1", "file", f"me:{SECRET}@a.example", "-a", ""]
        ),
        st.sampled_from(["", ":443", ":0", ":99999", ":1\u0661", ":", ":-1"]),
        st.sampled_from(["", "/", "/v1/traces", "/%", "/%zz", "/..", f"/?key={SECRET}", f"/#{SECRET}", "/v1/traces/"]),
    )
    | st.text(max_size=70).map("posthog:".__add__)
    | st.text(alphabet="phcx_@.:/1a", max_size=70).map("posthog:phc_".__add__)
)


@fuzzed(text=URL, host=st.none() | URL, allow_http=st.booleans())
def test_destination(text: str, host: str | None, allow_http: bool) -> None:
    """A text is a destination that a manifest brings back as itself, or a printable line that repeats nothing."""
    found = parse_destination(text, posthog_host=host, allow_http=allow_http)
    if isinstance(found, BadDestination):
        assert found.message.isprintable()
        assert SECRET not in found.message
        return
    assert Destination.from_fields(json.loads(json.dumps(found.to_fields()))) == found
    assert found.url.isascii()
    assert found.url.isprintable()
    assert SECRET not in found.url
    assert found.allow_http <= allow_http
    parts = split_url(found.url)
    assert not isinstance(parts, BadDestination)
    assert parts[1] == found.host


FIELDS = {"kind": "otlp", "url": "https://a.example/v1/traces", "api_key": "", "allow_http": False}


@fuzzed(data=altered(FIELDS) | JSON.map(lambda value: json.dumps(value).encode()))
def test_stored_destination(data: bytes) -> None:
    """Fields that were not written by a destination are none."""
    fields = json.loads(data)
    if isinstance(fields, dict):
        found = Destination.from_fields(fields)
        assert isinstance(found, BadDestination) or found.to_fields() == fields


# --- what else lies in the state folder

MANIFEST = Manifest(
    application="myapp",
    source="/home/user/franklinwh.ini",
    explicit=False,
    policy_version=1,
    destination=parse_destination("https://a.example"),  # type: ignore[arg-type]
    routed_by=APPLICATION,
    commands=("status", "a<b>&é\u2028z"),
)


@fuzzed(data=BYTES | altered(json.loads(MANIFEST.encode())) | cut(MANIFEST.encode()))
def test_manifest(data: bytes) -> None:
    """A manifest that is read means the same when it is written and read again, and has the same folder."""
    found = parse_manifest(data)
    if found is not None:
        again = parse_manifest(found.encode())
        assert again is not None
        assert again.encode() == found.encode()
        assert again.folder_name() == found.folder_name()


ENTRY = json.dumps({"at_ms": 1, "bytes": 5, "host": "a.example", "request": "POST / HTTP/1.1"}).encode()
ENTRIES = BYTES | st.builds(
    lambda first, request, last: first + b"\n" + request + b"\n" + last,
    st.just(ENTRY) | altered(json.loads(ENTRY)) | cut(ENTRY),
    st.binary(max_size=20),
    BYTES | altered({"error": None, "status": 200}),
)


@fuzzed(data=ENTRIES)
def test_journal(data: bytes) -> None:
    """Any file in the journal is an entry, whose request is part of the file and can be shown, or is passed over."""
    folder = Path("journal")
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "000000000001.request").write_bytes(data)
    journal = Journal(str(folder))
    entries = list(journal.entries())
    assert len(entries) + journal.skipped == 1
    for entry in entries:
        assert entry.request in data
        assert entry.status is None or type(entry.status) is int
        assert isinstance(readable(entry.request), list)


SPAN = {
    "traceId": "0" * 31 + "1",
    "attributes": [{"key": "franklinwh.command", "value": {"stringValue": "status"}}],
}
SPANS = (
    st.fixed_dictionaries({}, optional={"attributes": JSON, "traceId": JSON, "startTimeUnixNano": JSON})
    | st.fixed_dictionaries({"attributes": st.lists(st.fixed_dictionaries({"key": JSON, "value": JSON}), max_size=3)})
    | altered(SPAN).map(json.loads)
)
BODIES = (
    JSON
    | SPANS.map(lambda span: {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    | JSON.map(lambda value: {"batch": value})
    | JSON.map(lambda value: {"batch": [value], "api_key": SECRET * 4})
)
OTLP_HEAD = b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n\r\n"
JSON_HEAD = b"POST /batch/ HTTP/1.1\r\nContent-Type: application/json\r\n\r\n"
NO_VALUE = {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": "a", "value": {}}]}]}]}]}


def spans_as_otlp(value: Any) -> bytes:
    """The same as protobuf, where it can be that."""
    try:
        return json_format.ParseDict(value, ExportTraceServiceRequest(), ignore_unknown_fields=True).SerializeToString()
    except Exception:  # noqa: BLE001 - a stranger's parser, which is not what is tested
        return b""


REQUESTS = (
    BYTES.map(JSON_HEAD.__add__)
    | BODIES.map(lambda value: JSON_HEAD + json.dumps(value).encode())
    | BODIES.map(lambda value: OTLP_HEAD + spans_as_otlp(value))
    | BYTES.map(OTLP_HEAD.__add__)
    | BYTES
)


@fuzzed(
    {"request": JSON_HEAD + b"[" * 30_000},
    {"request": JSON_HEAD + json.dumps(NO_VALUE).encode()},
    {"request": OTLP_HEAD + spans_as_otlp(NO_VALUE)},
    request=REQUESTS,
)
def test_shown_request(request: bytes) -> None:
    """What the journal holds can be shown, whatever it is: as five facts, as what it says, or by its length alone."""
    body = decoded(request)
    for facts in facts_of(body):
        assert set(facts.to_fields()) == {
            "command",
            "executed_timestamp",
            "execution_latency_ms",
            "execution_uuid",
            "success",
        }
    assert all(isinstance(line, str) for line in readable(request))


@fuzzed(data=BYTES | altered({"kind": "temporary", "message": "m", "failures": 1, "until_ms": 1}))
def test_kept_trouble(data: bytes) -> None:
    """The file of a back-off is a trouble that writes itself again, or none."""
    found = KeptTrouble.decode(data)
    if found is not None:
        again = KeptTrouble.decode(found.encode())
        assert again is not None
        assert again.encode() == found.encode()


NAMES = st.text(alphabet=string.ascii_lowercase + "_", min_size=1, max_size=12)


@fuzzed(counts=st.dictionaries(NAMES, st.lists(st.integers(-2, 300), max_size=4), max_size=4))
def test_tally(counts: dict[str, list[int]]) -> None:
    """Whatever is added, each count is the sum of what was more than nothing."""
    folder = Path("tally")
    tally = Tally(str(folder))
    folder.mkdir(exist_ok=True)
    before = tally.read()
    for name, numbers in counts.items():
        for number in numbers:
            tally.add(name, number)
    after = tally.read()
    for name, numbers in counts.items():
        assert after.get(name, 0) == before.get(name, 0) + sum(number for number in numbers if number > 0)


# --- command lines

TOKENS = st.sampled_from(
    [
        "status",
        "tou",
        "--set",
        "--extended",
        "mode",
        "-p",
        "--password",
        f"--password={SECRET}",
        "--",
        "-",
        "",
        "\ud800",
        "@f",
    ]
)


@fuzzed(line=st.text() | st.lists(st.text(max_size=10) | TOKENS, max_size=8) | st.lists(TOKENS).map(" ".join) | JSON)
def test_command_line(line: Any) -> None:
    """Any line at all is a listed command or `other`; nothing else of it is to be found in that."""
    assert WORDS.parse(line).text in (*WORDS.commands, "other")
    found = WORDS.execution(line)
    assert (found is None) == WORDS.is_informational(line)
    assert found is None or found == WORDS.parse(line)


# --- answers

TYPES = st.sampled_from(["application/json", "application/x-protobuf", "text/html", ""])
ANSWERS = st.builds(
    Answer,
    status=st.none()
    | st.sampled_from([200, 202, 204, 301, 400, 401, 404, 408, 413, 429, 500, 503])
    | st.integers(0, 999),
    content_type=TYPES,
    body=BYTES
    | altered({"status": "Ok", "quota_limited": ["events"]})
    | altered({"partialSuccess": {"rejectedSpans": "3", "errorMessage": SURPRISE}})
    | cut(
        json_format.ParseDict(
            {"partialSuccess": {"rejectedSpans": 3, "errorMessage": SURPRISE}}, ExportTraceServiceResponse()
        ).SerializeToString()
    ),
    retry_after_s=st.none() | st.floats(0, MAX_RETRY_AFTER_S),
)


@fuzzed({"answer": Answer(status=200, content_type="application/json", body=b"[" * 30_000)}, answer=ANSWERS)
def test_answer(answer: Answer) -> None:
    """Any answer of any server is a verdict; no word of it is repeated, and only a whole 2xx is an acknowledgement."""
    for read in (otlp.read_answer, lambda answer: posthog.read_answer(answer, 3)):
        verdict = judge(answer, "a.example", read)
        assert isinstance(verdict, (Accepted, Refused, Trouble))
        assert SURPRISE not in repr(verdict)
        if isinstance(verdict, Accepted):
            assert answer.status is not None
            assert 200 <= answer.status <= 299
            assert answer.content_type in ("application/json", "application/x-protobuf")


DATES = st.builds(
    "{} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon,", "", "Foo,"]),
    st.integers(-1, 99),
    st.sampled_from(["Jan 2026", "Dec 9999", "Nov 0000", "Feb 99999", "x"]),
    *[st.integers(-1, 99)] * 3,
    st.sampled_from(["GMT", "+0000", "-9999", "+99999999999", "", "EST"]),
)


@fuzzed(text=st.text() | st.integers().map(str) | DATES | st.floats().map(str), now_s=st.floats(0, 1e11))
def test_retry_after(text: str, now_s: float) -> None:
    """A Retry-After is a number of seconds of at most a day, or nothing."""
    found = parse_retry_after(text, now_s)
    assert found is None or 0 <= found <= MAX_RETRY_AFTER_S


@fuzzed(text=st.text() | st.sampled_from(["text/html; charset=utf-8", "A/B", "a/" + "b" * 70, "a/b/c", "/", "a/\n"]))
def test_media_type(text: str) -> None:
    """A Content-Type is a media type in lower case, or nothing."""
    found = media_type(text)
    assert found == found.lower()
    assert found == "" or (found.isascii() and found.isprintable() and found.count("/") == 1 and len(found) < 130)


# --- the longest of each


def ini_of(line: bytes) -> Callable[[], object]:
    """Read an ini of one line again and again, as long as one may be."""

    def read() -> object:
        Path("big.ini").write_bytes((line * MAX_INI_BYTES)[:MAX_INI_BYTES])
        return inifile.read("big.ini", explicit=True)

    return read


LONGEST: dict[str, Callable[[], object]] = {
    "record": lambda: decode((b"[" * MAX_RECORD_BYTES), VOCABULARY),
    "ini of blanks": ini_of(b" "),
    "ini of keys": ini_of(b"a = b\n"),
    "ini of one key": ini_of(b"a"),
    "ini of blanks in a key": ini_of(b"a "),
    "ini of continued lines": lambda: inisyntax.snapshot("[telemetry]\na = b\n" + " c\n" * 300_000),
    "ini of sections": ini_of(b"[a\n"),
    "ini of brackets": ini_of(b"["),
    "ini of lines": ini_of(b"\n"),
    "ini of remarks": ini_of(b" ;"),
    "url": lambda: parse_destination("https://" + "a." * MAX_URL_LENGTH),
    "url far too long": lambda: parse_destination("https://" + "%" * 10_000_000),
    "key far too long": lambda: parse_destination("posthog:" + "phc_" * 2_500_000),
    "manifest": lambda: parse_manifest(b'{"v":' * (MAX_MANIFEST_BYTES // 5)),
    "manifest of commands": lambda: parse_manifest(b'{"commands":[' + b'"a",' * (MAX_MANIFEST_BYTES // 4)),
    "trouble": lambda: KeptTrouble.decode(b"9" * MAX_TROUBLE_BYTES),
    "answer of OTLP": lambda: otlp.read_answer(Answer(content_type="application/json", body=b'{"a":' * 13_107)),
    "answer of PostHog": lambda: posthog.read_answer(
        Answer(content_type="application/json", body=b"9" * MAX_ANSWER_BYTES), 1
    ),
    "Retry-After": lambda: parse_retry_after("Mon, " * 13_107, 0.0),
    "Retry-After of digits": lambda: parse_retry_after("9" * MAX_ANSWER_BYTES, 0.0),
    "Retry-After of blanks": lambda: parse_retry_after("(" * MAX_ANSWER_BYTES, 0.0),
    "Content-Type": lambda: media_type("a/" * 32_768),
    "command line of words": lambda: WORDS.parse(["status"] * 100_000),
    "command line of options": lambda: WORDS.parse(["--password"] * 100_000),
    "command line of one word": lambda: WORDS.parse("-" * 1_000_000),
    "command line of quotes": lambda: WORDS.parse("'\"" * 200_000),
    "command line of values": lambda: WORDS.parse(["tou", "--set", *(["x"] * 100_000)]),
}


@pytest.mark.parametrize("parse", LONGEST.values(), ids=LONGEST)
def test_the_longest_takes_little(parse: Callable[[], object]) -> None:
    """The longest that is read, made as badly as we know, costs a slow machine seconds, and some mebibytes at most."""
    began_s = time.process_time()
    parse()
    took_s = time.process_time() - began_s
    tracemalloc.start()
    try:
        parse()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took_s < MAX_CPU_S
    assert peak_bytes < MAX_MEMORY_BYTES
