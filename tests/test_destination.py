from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import franklinwh_telemetry
from franklinwh_telemetry.address import BadDestination, is_loopback
from franklinwh_telemetry.consent import HOST, Granted, host_consent, read_consent
from franklinwh_telemetry.destination import (
    FILE,
    Destination,
    choose,
    parse_destination,
    route,
    shortened,
)
from franklinwh_telemetry.lookup import DenialReason, Denied

APP = "franklinwh-cloud"


def usable(result: Destination | BadDestination | Denied) -> Destination:
    """Take a destination."""
    assert isinstance(result, Destination), result
    return result


def refused(result: Destination | BadDestination) -> str:
    """Take the message of a refusal."""
    assert isinstance(result, BadDestination), result
    return result.message


def denied(result: Destination | Denied) -> Denied:
    """Take a denial."""
    assert isinstance(result, Denied), result
    return result


# --- OTLP


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        ("https://c.example", "https://c.example/v1/traces", "c.example"),
        ("https://c.example/", "https://c.example/v1/traces", "c.example"),
        ("https://c.example/v1/traces", "https://c.example/v1/traces", "c.example"),
        ("https://c.example/v1/traces/", "https://c.example/v1/traces", "c.example"),
        ("https://c.example/otlp", "https://c.example/otlp/v1/traces", "c.example"),
        ("https://c.example/otlp//", "https://c.example/otlp/v1/traces", "c.example"),
        ("https://c.example/otlp//v1/traces", "https://c.example/otlp/v1/traces", "c.example"),
        ("https://c.example/a%2Fb/v1/traces", "https://c.example/a%2Fb/v1/traces", "c.example"),
        ("https://c.example/xv1/traces", "https://c.example/xv1/traces/v1/traces", "c.example"),
        ("https://c.example/a%2F", "https://c.example/a%2F/v1/traces", "c.example"),
        ("https://0x7f.example", "https://0x7f.example/v1/traces", "0x7f.example"),
        ("https://c.example/a://b", "https://c.example/a://b/v1/traces", "c.example"),
        ("HTTPS://C.Example:4318/Otlp", "https://c.example:4318/Otlp/v1/traces", "c.example"),
        ("https://c.example:443", "https://c.example/v1/traces", "c.example"),
        ("https://c.example:80", "https://c.example:80/v1/traces", "c.example"),
        ("https://under_score.lan:0443", "https://under_score.lan/v1/traces", "under_score.lan"),
        ("https://192.0.2.7", "https://192.0.2.7/v1/traces", "192.0.2.7"),
        ("https://[2001:DB8:0:0::1]:4318", "https://[2001:db8::1]:4318/v1/traces", "2001:db8::1"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example/v1/traces", "xn--bcher-kva.example"),
        ("http://localhost:4318", "http://localhost:4318/v1/traces", "localhost"),
        ("http://LOCALHOST:80", "http://localhost/v1/traces", "localhost"),
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces", "127.0.0.1"),
        ("http://127.255.0.9", "http://127.255.0.9/v1/traces", "127.255.0.9"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces", "::1"),
        ("http://[0:0::1]", "http://[::1]/v1/traces", "::1"),
        ("https://c.example:65535", "https://c.example:65535/v1/traces", "c.example"),
        ("https://c.example:1", "https://c.example:1/v1/traces", "c.example"),
    ],
)
def test_otlp(text, url, host) -> None:
    """A base URL becomes the one traces URL, written one way; plain HTTP stays on this machine."""
    parsed = usable(parse_destination(text))
    assert (parsed.kind, parsed.url, parsed.api_key, parsed.allow_http, parsed.host) == ("otlp", url, "", False, host)
    assert parse_destination(url) == parsed
    assert parse_destination(text, allow_http=True) == parsed


@pytest.mark.parametrize(
    "host",
    ["c.example", "10.0.0.1", "128.0.0.1", "192.0.2.7", "[2001:db8::1]", "[::2]"],
)
def test_plain_http(host) -> None:
    """Plain HTTP to another machine is refused unless it was allowed."""
    text = f"http://{host}:4318"
    assert "allow_http" in refused(parse_destination(text))
    allowed = usable(parse_destination(text, allow_http=True))
    assert (allowed.allow_http, allowed.url) == (True, f"{text}/v1/traces")


@pytest.mark.parametrize(
    "host",
    ["localhost.surprise.example", "127.surprise.example", "127.0.0.1.example", "127x", "xlocalhost", "127.1.example"],
)
def test_plain_http_to_lookalikes(host) -> None:
    """A name that merely begins or ends like this machine is another machine."""
    assert not is_loopback(host)
    assert "allow_http" in refused(parse_destination(f"http://{host}"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("c.example", "scheme"),
        ("c.example:4318", "scheme"),
        ("localhost:4318", "scheme"),
        ("//c.example", "scheme"),
        ("file", "scheme"),
        ("mailto:surprise@c.example", "scheme"),
        ("ftp://c.example", "https://"),
        ("file:///etc/passwd", "https://"),
        ("grpc://c.example:4317", "https://"),
        ("://c.example", "https://"),
        ("https://surprise:surprise@c.example", "password"),
        ("https://surprise@c.example", "password"),
        ("https://@c.example", "password"),
        ("https://c.example?token=surprise", "query"),
        ("https://c.example/?", "query"),
        ("https://c.example#surprise", "fragment"),
        ("https://c.example/#", "fragment"),
        ("https://c.example:", "port"),
        ("https://c.example:0", "port"),
        ("https://c.example:65536", "port"),
        ("https://c.example:123456", "port"),
        ("https://c.example:000443", "port"),
        ("https://c.example:surprise", "port"),
        ("https://c.example:-1", "port"),
        ("https://c.example:+1", "port"),
        ("https://c.example:1:2", "port"),
        ("https://[::1]:", "port"),
        ("https://[::1]:1:2", "port"),
        ("https://", "host"),
        ("https:///v1/traces", "host"),
        ("https://:4318", "host"),
        ("https://.example", "host"),
        ("https://c..example", "host"),
        ("https://c.example.", "host"),
        ("https://-c.example", "host"),
        ("https://c-.example", "host"),
        ("https://c%2eexample", "host"),
        ("https://c.example\\.surprise", "host"),
        (f"https://{'a' * 64}.example", "host"),
        (f"https://{'a.' * 127}com", "host"),
        ("https://127.1", "host"),
        ("https://2130706433", "host"),
        ("https://0x7f.0.0.0x1", "host"),
        ("https://127.0.0.0x1", "host"),
        ("https://127.0.0.256", "host"),
        ("https://127.0.0.01", "host"),
        ("https://[::1", "IPv6"),
        ("https://[::1]x", "IPv6"),
        ("https://[::1]]", "IPv6"),
        ("https://[surprise]", "host"),
        ("https://[fe80::1%25eth0]", "host"),
        ("https://[fe80::1%eth0]", "host"),
        ("https://[::ffff:127.0.0.1]", "host"),
        ("https://file", "`file`"),
        ("https://c.example/a b", "spaces"),
        (" https://c.example", "spaces"),
        ("https://c.example\n", "spaces"),
        ("https://c.example/\x7f", "spaces"),
        ("https://c.ex\tample", "spaces"),
        ("https://\x00c.example", "spaces"),
        ("https://bücher.example", "xn--"),
        ("https://c.example/é", "xn--"),
        ("https://c.example/../v1", "path"),
        ("https://c.example/./v1", "path"),
        ("https://c.example/%zz", "path"),
        ("https://c.example/%z2", "path"),
        ("https://c.example/%2z", "path"),
        ("https://c.example/%2", "path"),
        ("https://c.example/a|b", "path"),
        (f"https://c.example/{'a' * 2031}", "2048"),
    ],
)
def test_otlp_refused(text, word) -> None:
    """Everything that is not a plain base URL is refused in one line, which repeats none of it."""
    message = refused(parse_destination(text, allow_http=True))
    assert word in message
    assert message.isprintable()
    assert "surprise" not in message


def test_otlp_longest() -> None:
    """The longest URL, host and label are usable."""
    path = "a" * 2030
    assert usable(parse_destination(f"https://c.example/{path}")).url == f"https://c.example/{path}/v1/traces"
    host = f"{'a' * 63}.{'b.' * 94}c"
    assert len(host) == 253
    assert usable(parse_destination(f"https://{host}")).host == host
    assert "host" in refused(parse_destination(f"https://{host}c"))


def test_file() -> None:
    """The embedded default is a file, and no address at all."""
    assert FILE.to_fields() == {"kind": "file", "url": "", "api_key": "", "allow_http": False}
    assert FILE.host == "file"


# --- PostHog


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "https://us.i.posthog.com"),
        ("us.i.posthog.com", "https://us.i.posthog.com"),
        ("eu.i.posthog.com", "https://eu.i.posthog.com"),
        ("app.posthog.com", "https://us.i.posthog.com"),
        ("us.posthog.com", "https://us.i.posthog.com"),
        ("EU.posthog.com", "https://eu.i.posthog.com"),
        ("https://eu.posthog.com/", "https://eu.i.posthog.com"),
        ("https://events.example:8443", "https://events.example:8443"),
        ("events.example:443", "https://events.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000/", "http://localhost:8000"),
    ],
)
def test_posthog(host, url) -> None:
    """A project key goes to PostHog's ingestion host, whichever way that host is written."""
    parsed = usable(parse_destination("posthog:phc_abcdef", posthog_host=host))
    name = url.partition("://")[2].partition(":")[0]
    assert (parsed.kind, parsed.url, parsed.api_key, parsed.allow_http, parsed.host) == (
        "posthog",
        url,
        "phc_abcdef",
        False,
        name,
    )
    if host is not None:
        assert parse_destination(f"posthog:phc_abcdef@{host}") == parsed


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("", "empty"),
        ("phx_surprise", "personal"),
        ("phs_surprise", "personal"),
        ("phc_" + "a" * 61, "64"),
        ("phc_ surprise", "letters"),
        ("phc_surprise\n", "letters"),
        ("phc_sürprise", "letters"),
        ("phc_surprise/x", "letters"),
    ],
)
def test_posthog_key_refused(key, word) -> None:
    """A key that is no project key is refused without being repeated."""
    message = refused(parse_destination(f"posthog:{key}"))
    assert word in message
    assert "rprise" not in message


def test_posthog_longest_key() -> None:
    """Sixty-four characters are allowed, and a key of the old form without a prefix too."""
    for key in ("phc_" + "a" * 60, "sTMFPsFhdP1Ssg-_", "phxx", "old_"):
        assert usable(parse_destination(f"posthog:{key}")).api_key == key


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("", "host"),
        ("https://app.posthog.com/capture/", "path"),
        ("https://surprise:surprise@x", "password"),
        ("surprise@x", "password"),
        ("http://events.example", "allow_http"),
        ("ftp://events.example", "https://"),
        ("events.example?x=surprise", "query"),
        ("us.i.posthog.com:x", "port"),
    ],
)
def test_posthog_host_refused(host, word) -> None:
    """PostHog's host is a host, or its https URL, and nothing more."""
    message = refused(parse_destination("posthog:phc_abc", posthog_host=host))
    assert word in message
    assert message.startswith("PostHog's host: ")
    assert "surprise" not in message


def test_posthog_plain_http() -> None:
    """Plain HTTP to a PostHog in one's own network must be allowed."""
    parsed = usable(parse_destination("posthog:phc_abc@http://events.lan", allow_http=True))
    assert (parsed.url, parsed.allow_http) == ("http://events.lan", True)


def test_posthog_host_without_need() -> None:
    """A host given twice, or for a URL, is ambiguous."""
    assert "twice" in refused(parse_destination("posthog:phc_abc@eu.i.posthog.com", posthog_host="us.i.posthog.com"))
    assert "posthog_host" in refused(parse_destination("https://c.example", posthog_host="us.i.posthog.com"))


# --- the value

SOME = (
    FILE,
    usable(parse_destination("https://c.example:4318/otlp")),
    usable(parse_destination("http://c.example", allow_http=True)),
    usable(parse_destination("posthog:phc_abcdefghijkl")),
    usable(parse_destination("posthog:phc_abcdefghijkl@http://events.lan:81", allow_http=True)),
)


@pytest.mark.parametrize("one", SOME)
def test_fields(one) -> None:
    """What a manifest keeps of a destination is read back as the same destination."""
    assert Destination.from_fields(one.to_fields()) == one


@pytest.mark.parametrize("one", SOME)
@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "surprise"},
        {"kind": None},
        {"url": "https://c.example/v1/../v1/traces"},
        {"url": "https://c.example/"},
        {"url": "http://surprise.example/v1/traces", "allow_http": False},
        {"url": 1},
        {"api_key": "phx_surprise"},
        {"api_key": None},
        {"api_key": 7},
        {"allow_http": 1},
        {"surprise": True},
    ],
)
def test_fields_refused(one, changed) -> None:
    """A manifest that somebody touched is not believed."""
    assert "surprise" not in refused(Destination.from_fields({**one.to_fields(), **changed}))


@pytest.mark.parametrize("one", SOME)
@pytest.mark.parametrize("kind", ["surprise", "PostHog", "", None])
def test_fields_of_another_kind(one, kind) -> None:
    """A kind that does not exist is not looked at any further."""
    message = "the stored destination is not one that was stored by this package"
    assert refused(Destination.from_fields({**one.to_fields(), "kind": kind})) == message


def test_fields_missing() -> None:
    """Nothing is filled in for a manifest that lacks something."""
    for one in SOME:
        for name in one.to_fields():
            assert refused(Destination.from_fields({key: kept for key, kept in one.to_fields().items() if key != name}))


def test_describe() -> None:
    """People see where events go, in full or by the shortest name, and of a key its beginning only."""
    assert [one.name for one in SOME] == [
        "a file on this machine",
        "c.example",
        "c.example",
        "us.i.posthog.com",
        "events.lan",
    ]
    assert [one.describe() for one in SOME] == [
        "a file on this machine",
        "OTLP at https://c.example:4318/otlp/v1/traces",
        "OTLP at http://c.example/v1/traces",
        "PostHog at https://us.i.posthog.com, project phc_abcd...",
        "PostHog at http://events.lan:81, project phc_abcd...",
    ]
    assert [repr(one) for one in SOME] == [f"Destination({one.describe()!r})" for one in SOME]


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (0, "..."),
        (1, "..."),
        (5, "ph..."),
        (15, "phc_abc..."),
        (16, "phc_abcd..."),
        (23, "phc_abcd..."),
        (24, "phc_abcd...qrst"),
        (27, "phc_abcd...tuvw"),
    ],
)
def test_shortened(length, shown) -> None:
    """Of a key no more than the first eight characters and, of a long one, the last four are shown."""
    assert shortened("phc_abcdefghijklmnopqrstuvw"[:length]) == shown


def test_value() -> None:
    """A destination compares and hashes by value, and cannot be made, extended, copied or changed."""
    again: Any = usable(parse_destination("https://C.example:4318/otlp/v1/traces"))
    assert again == SOME[1]
    assert len({*SOME, again}) == len(SOME)
    assert parse_destination("") == parse_destination("")
    for forge, said in (
        (
            lambda: Destination(object(), "file", "", "", False, "file"),
            r"a Destination comes from parse_destination or Destination\.from_fields only",
        ),
        (lambda: type("Forged", (Destination,), {}), "Destination cannot be extended"),
        (lambda: copy.copy(again), "Destination is made by its own module only, never copied or unpickled"),
        (lambda: pickle.dumps(again), "Destination is made by its own module only, never copied or unpickled"),
    ):
        with pytest.raises(TypeError, match=f"^{said}$"):
            forge()
    with pytest.raises(AttributeError):
        again.url = "https://surprise"


@given(st.text() | st.text(alphabet="https:/@.[]%?#1a_-").map("https://".__add__) | st.text().map("posthog:".__add__))
def test_parse_is_total(text) -> None:
    """Any text is a destination that reads back as itself, or one line of refusal."""
    parsed = parse_destination(text, allow_http=True)
    if isinstance(parsed, BadDestination):
        assert parsed.message.isprintable()
        return
    assert Destination.from_fields(parsed.to_fields()) == parsed
    assert parsed.url.isascii()
    assert parsed.url.partition("://")[0] in ("http", "https")


def test_import_is_cheap() -> None:
    """Neither this module nor a plain host loads urllib or ipaddress into the user's command."""
    code = (
        "import sys, uuid; before = set(sys.modules)\n"
        "from franklinwh_telemetry.destination import parse_destination\n"
        "parse_destination('https://collector.example.com:4318')\n"
        "parse_destination('posthog:phc_abc')\n"
        "new = set(sys.modules) - before\n"
        "print(sorted(new & {'urllib', 'urllib.parse', 'ipaddress', 'configparser', 'socket', 'ssl', 'pwd'}))\n"
    )
    source = str(Path(franklinwh_telemetry.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {source!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


# --- routing


class Inis:
    """One ini of a test's own, and the yes that is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "franklinwh.ini"

    def grant(self, lines: str = "", *, host: bool = False) -> Granted:
        self.path.write_text(f"[telemetry]\nenabled = true\n{lines}", encoding="utf-8")
        self.path.chmod(0o600)
        keywords: dict[str, Any] = {
            "environ": {},
            "cwd": str(self.folder),
            "home": str(self.folder / "home"),
            "machine_ini": str(self.folder / "etc.ini"),
        }
        result = host_consent(APP, True, None, **keywords) if host else read_consent(APP, **keywords)
        assert isinstance(result, Granted), result
        return result


@pytest.fixture
def inis(tmp_path) -> Inis:
    """Give a test an ini of its own."""
    return Inis(tmp_path)


def test_route_order(inis) -> None:
    """The argument, the user's ini, the application's literal, and at last the file."""
    argument, literal = "https://argument.example", "posthog:phc_literal"
    own = inis.grant("endpoint = https://ini.example\n")
    assert usable(route(own, argument=argument, literal=literal)).host == "argument.example"
    assert usable(route(own, literal=literal)).host == "ini.example"
    assert usable(route(inis.grant(), literal=literal)).api_key == "phc_literal"
    assert route(inis.grant()) is FILE


def test_route_to_own_posthog(inis) -> None:
    """A user's own project key routes to it, in the region that is named."""
    for host in (False, True):
        granted = inis.grant("api_key = phc_own\nposthog_host = eu.posthog.com\n", host=host)
        assert route(granted, literal="https://x") == parse_destination("posthog:phc_own@eu.i.posthog.com")


def test_route_to_own_network(inis) -> None:
    """`allow_http` in the ini lets plain HTTP leave this machine, for whatever destination is used."""
    for words in ("true", "Yes", "1"):
        granted = inis.grant(f"endpoint = http://c.lan:4318\nallow_http = {words}\n")
        assert usable(route(granted)).allow_http
    granted = inis.grant("allow_http = on\n")
    assert usable(route(granted, argument="http://c.lan")).allow_http
    assert usable(route(granted, literal="http://c.lan")).allow_http
    assert route(granted) is FILE


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("endpoint = https://c.example\napi_key = phc_surprise\n", "both"),
        ("endpoint =\napi_key = phc_surprise\n", "both"),
        ("endpoint =\n", "empty"),
        ("endpoint = http://c.example\n", "allow_http"),
        ("endpoint = http://c.example\nallow_http = false\n", "allow_http"),
        ("endpoint = https://surprise:surprise@c.example\n", "password"),
        ("endpoint = posthog:phc_surprise\n", "`api_key`"),
        ("endpoint = https://c.example\nposthog_host = eu.i.posthog.com\n", "posthog_host"),
        ("api_key =\n", "empty"),
        ("api_key = phx_surprise\n", "personal"),
        ("api_key = surprise@example.com\n", "letters"),
        ("api_key = phc_surprise\nposthog_host = https://surprise@x\n", "password"),
        ("posthog_host = eu.i.posthog.com\n", "without an `api_key`"),
        ("allow_http = surprise\n", "allow_http"),
    ],
)
@pytest.mark.parametrize("host", [False, True])
def test_route_by_a_bad_ini(inis, lines, word, host) -> None:
    """A value in the ini that is not usable denies, never gives way to another destination, and is not repeated."""
    denial = denied(route(inis.grant(lines, host=host), literal="https://c.example"))
    assert (denial.reason, denial.where) == (DenialReason.BAD_DESTINATION, str(inis.path))
    assert word in denial.detail
    assert "surprise" not in denial.explanation


def test_route_by_bad_code(inis) -> None:
    """A bad argument or literal says that the program is to be mended."""
    denial = denied(route(inis.grant(), argument="", literal="https://c.example"))
    assert (denial.reason, denial.where) == (DenialReason.BAD_DESTINATION, "the destination argument")
    denial = denied(route(inis.grant(), literal="http://c.example"))
    assert (denial.reason, denial.where) == (DenialReason.BAD_DESTINATION, "the application's own destination")
    assert not denial.is_withdrawal


def test_choose() -> None:
    """Without a yes to hold, the same order says where events would go, and a refusal names the place."""
    ini = {"endpoint": "https://ini.example"}
    assert usable(choose(ini, argument="https://a.example", literal="https://l.example")).host == "a.example"
    assert usable(choose(ini, literal="https://l.example")).host == "ini.example"
    assert usable(choose({}, literal="https://l.example")).host == "l.example"
    assert choose({}) is FILE
    assert refused(choose(ini, argument="")).startswith("the destination argument: it is empty")
    assert refused(choose({}, literal="")).startswith("the application's own destination: it is empty")
    assert refused(choose({"endpoint": ""})).startswith("it is empty")


@pytest.mark.parametrize("host", [False, True])
def test_route_elsewhere_than_agreed(inis, host) -> None:
    """What was agreed to for one host is not agreed to for another."""
    granted = inis.grant("destination = C.Example\n", host=host)
    assert usable(route(granted, literal="https://c.example:4318")).host == "c.example"
    denial = denied(route(granted, literal="https://other.example"))
    assert denial == Denied(
        DenialReason.DESTINATION_CHANGED,
        str(inis.path),
        "agreed to: c.example; events would go to: other.example",
    )
    assert denied(route(granted)).detail.endswith("events would go to: file")
    assert not denial.is_withdrawal


@pytest.mark.parametrize("host", ["us.i.posthog.com", "file", "::1", "127.0.0.1"])
def test_route_as_agreed(inis, host) -> None:
    """Every kind of host can be agreed to by its name."""
    literal = {
        "us.i.posthog.com": "posthog:phc_a",
        "file": None,
        "::1": "http://[::1]:4318",
        "127.0.0.1": "http://127.0.0.1",
    }
    assert usable(route(inis.grant(f"destination = {host}\n"), literal=literal[host])).host == host


@pytest.mark.parametrize("text", ["", "https://surprise:surprise@c.example", "surprise@c.example", "c.example:4318"])
def test_route_when_something_else_was_agreed_to(inis, text) -> None:
    """A `destination` that is no host matches none, and is not repeated."""
    denial = denied(route(inis.grant(f"destination = {text}\n"), literal="https://c.example"))
    assert denial.reason is DenialReason.DESTINATION_CHANGED
    assert denial.detail == "agreed to: something else; events would go to: c.example"


def test_route_by_the_host_alone(tmp_path) -> None:
    """Where no ini exists, the host's consent routes by its own literal, and refusals name it."""
    granted = host_consent(APP, True, None, environ={}, cwd=str(tmp_path), home=str(tmp_path), machine_ini="/nowhere")
    assert isinstance(granted, Granted)
    assert (granted.source, granted.ini) == (HOST, None)
    assert usable(route(granted, literal="https://c.example")).host == "c.example"
    assert route(granted) is FILE
