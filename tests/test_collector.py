"""The real Collector on the main path: what our sender is told is kept, is at the backend, and nothing else is."""

from __future__ import annotations

import json
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

import support
from doubles.collector import Collector, NotStartedError, free_port
from doubles.leaks import nothing_leaks  # noqa: F401 - an autouse fixture
from doubles.otlp import decode_otlp_json
from doubles.posthog import KNOWN_KEY, PostHogDouble
from doubles.records import APPLICATION
from doubles.sending import ids, recent, send
from franklinwh_telemetry.sender.posthog import batch_body, event_of
from franklinwh_telemetry.sender.spans import otlp_json

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first of them may have to build the Collector.
pytestmark = pytest.mark.timeout(900)

EVENT_NAME = "franklinwh_cloud_execution"


def spans(collector: Collector) -> list[dict[str, Any]]:
    """Every span in the file of the Collector."""
    return [
        span
        for line in collector.lines()
        for resource_spans in json.loads(line)["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    ]


def span_ids(collector: Collector) -> set[int]:
    """The ids of the spans in the file."""
    return {int(span["spanId"], 16) for span in spans(collector)}


def posthog_settings(url: str, key: str = KNOWN_KEY) -> dict[str, str]:
    """What a user sets for PostHog."""
    return {"POSTHOG_HOST": url, "POSTHOG_API_KEY": key}


def test_the_file_holds_what_the_sender_sent(collector: Collector, tmp_path: Path) -> None:
    """One request is one line, and it decodes to the contract's message: the five facts, the ids and the constants."""
    records = recent(1, 3)

    assert send(collector.url, tmp_path, records).accepted_ids == ids(records)

    (line,) = collector.lines()
    assert decode_otlp_json(json.loads(line)) == decode_otlp_json(otlp_json(records, APPLICATION))


def test_a_real_program_arrives_in_the_file(senders: None, collector: Collector) -> None:
    """Consent, command, spool, detached sender, Collector: one command is one span, of the user's execution UUID."""
    Path("franklinwh.ini").write_text(f"{support.CONSENT}endpoint = {collector.url}\n", encoding="utf-8")
    Path("franklinwh.ini").chmod(0o600)
    program = (
        "from franklinwh_telemetry import Telemetry, Vocabulary\n"
        f"telemetry = Telemetry({APPLICATION!r}, Vocabulary(['status']))\n"
        "@telemetry.command('status')\n"
        "def main():\n"
        "    print('battery 81 %')\n"
        "main()\n"
    )

    done = support.run_python(program)
    support.wake_senders()

    assert (done.returncode, done.stdout, done.stderr) == (0, "battery 81 %\n", "")
    (span,) = spans(collector)
    facts = {attribute["key"]: attribute["value"] for attribute in span["attributes"]}
    assert facts["franklinwh.command"] == {"stringValue": "status"}
    assert facts["franklinwh.execution_uuid"] == {"stringValue": support.VERSION_4}


def test_an_acknowledged_span_survives_a_kill(collector: Collector, tmp_path: Path) -> None:
    """What was acknowledged is in the file, before a kill and after the next start."""
    first, second = recent(1, 2), recent(3, 2)

    assert send(collector.url, tmp_path, first).accepted_ids == ids(first)
    collector.kill()
    before = collector.lines()
    collector.start()
    assert send(collector.url, tmp_path, second).accepted_ids == ids(second)

    assert collector.lines()[: len(before)] == before
    assert span_ids(collector) == {*ids(first), *ids(second)}
    assert all(json.loads(line) for line in collector.lines())


def test_posthog_gets_the_very_body_of_the_direct_route(collector_binary: Path, tmp_path: Path) -> None:
    """An event that came by the Collector is, byte for byte, the one that Python sends by itself."""
    (record,) = recent(1)
    with (
        PostHogDouble() as posthog,
        Collector(collector_binary, tmp_path, "posthog", **posthog_settings(posthog.url)) as collector,
    ):
        assert send(collector.url, tmp_path, [record]).accepted_ids == ids([record])
        support.wait_until(lambda: posthog.events)

    assert [path.partition("?")[0].rstrip("/") for path in posthog.paths] == ["/flags", "/batch"]
    assert posthog.receiver.requests[1].body == batch_body(KNOWN_KEY, [record])
    assert posthog.events == [event_of(record, EVENT_NAME)]


def test_posthog_keeps_one_event_a_command(collector_binary: Path, tmp_path: Path) -> None:
    """Many commands arrive, each once, although the sender repeated one request."""
    records = recent(1, 20)
    with (
        PostHogDouble() as posthog,
        Collector(collector_binary, tmp_path, "posthog", **posthog_settings(posthog.url)) as collector,
    ):
        send(collector.url, tmp_path, records)
        send(collector.url, tmp_path, records[:5])
        assert collector.stop() == 0
        collector.start()
        support.wait_until(lambda: len(posthog.events) == len(records))

    by_uuid = sorted(posthog.events, key=lambda event: str(event["uuid"]))
    assert by_uuid == sorted((event_of(record, EVENT_NAME) for record in records), key=lambda e: str(e["uuid"]))


def test_a_wrong_posthog_key_stops_the_start(collector_binary: Path, tmp_path: Path) -> None:
    """PostHog would answer 200 and drop everything; the Collector asks first, and does not start."""
    with PostHogDouble() as posthog:
        settings = posthog_settings(posthog.url, "phc_surprise")
        with pytest.raises(NotStartedError) as reason, Collector(collector_binary, tmp_path, "posthog", **settings):
            pytest.fail("it has started")

    assert "key" in str(reason.value)
    assert "phc_surprise" not in str(reason.value)


def test_a_queue_has_one_collector(collector_binary: Path, tmp_path: Path) -> None:
    """A second replica on the same volume does not start, and the first goes on."""
    with PostHogDouble() as posthog:
        settings = posthog_settings(posthog.url)
        with Collector(collector_binary, tmp_path, "posthog", **settings) as first:
            second = Collector(collector_binary, tmp_path, "posthog", **settings)
            with pytest.raises(NotStartedError), second:
                pytest.fail("it has started")
            records = recent(1)
            assert send(first.url, tmp_path, records).accepted_ids == ids(records)


def test_another_otlp_backend_gets_the_contracts_message(
    collector: Collector, collector_binary: Path, tmp_path: Path
) -> None:
    """By the backend `otlp` a span reaches a second Collector unchanged."""
    records = recent(1, 3)
    settings = {"FRANKLINWH_OTLP_ENDPOINT": collector.url}
    with Collector(collector_binary, tmp_path / "first", "otlp", **settings) as first:
        assert send(first.url, tmp_path, records).accepted_ids == ids(records)
        support.wait_until(collector.lines)

    assert [decode_otlp_json(json.loads(line)) for line in collector.lines()] == [
        decode_otlp_json(otlp_json(records, APPLICATION))
    ]


def test_a_full_queue_is_told_and_what_was_acknowledged_survives_kills(collector_binary: Path, tmp_path: Path) -> None:
    """With PostHog away and no room left the answer is 503; after three kills, all that was acknowledged arrives."""
    settings = posthog_settings(f"http://127.0.0.1:{free_port()}")
    collector = Collector(collector_binary, tmp_path, "posthog", **settings, FRANKLINWH_QUEUE_SPANS="1000")
    acknowledged: list[int] = []
    refused: list[str] = []
    for life in range(3):
        collector.start()
        for request in range(8):
            told = send(collector.url, tmp_path, recent(1 + 1000 * life + 100 * request, 100))
            acknowledged += told.accepted_ids
            refused += [trouble.message for trouble in told.troubles]
        collector.kill()

    # Two lives fill the queue; the third is refused from its first request on, or from where batches in work end.
    assert 1000 <= len(acknowledged) < 2400
    assert refused
    assert all("503" in message for message in refused)

    with PostHogDouble() as posthog:
        collector.settings.update(posthog_settings(posthog.url))
        with collector:
            support.wait_until(lambda: len(posthog.events) >= len(acknowledged), timeout_s=60)
        assert len(posthog.events) == len(acknowledged)


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts by itself."""
    return trustme.CA()


@pytest.fixture
def over_tls(
    collector_binary: Path, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Collector]:
    """A Collector that ends TLS itself, whose authority the sender trusts."""
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(tmp_path / "cert.pem"), append=True)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    settings = {"FRANKLINWH_TLS_CERT": str(tmp_path / "cert.pem"), "FRANKLINWH_TLS_KEY": str(tmp_path / "key.pem")}
    with Collector(collector_binary, tmp_path, FRANKLINWH_TLS="on", **settings) as collector:
        yield collector


def test_tls_is_one_variable(over_tls: Collector, tmp_path: Path) -> None:
    """The receiver itself can speak TLS."""
    records = recent(1, 2)

    assert over_tls.url.startswith("https://")
    assert send(over_tls.url, tmp_path, records).accepted_ids == ids(records)
    assert span_ids(over_tls) == set(ids(records))


def test_the_log_holds_no_address_of_a_client(over_tls: Collector) -> None:
    """A failed handshake is logged, for it may be the operator's fault, but not who it was."""
    for attempt in range(3):
        with socket.create_connection(("127.0.0.1", over_tls.port), timeout=5) as plain:
            plain.sendall(b"no handshake\r\n" * (attempt + 1))
            plain.settimeout(5)
            plain.recv(100)
        with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", over_tls.port), timeout=5) as raw:
            ssl.create_default_context().wrap_socket(raw, server_hostname="127.0.0.1")

    support.wait_until(lambda: "TLS handshake error" in over_tls.log())
    handshakes = [line for line in over_tls.log().splitlines() if "TLS handshake error" in line]
    assert all("TLS handshake error from [address]: " in line for line in handshakes)
    assert not any("127.0.0.1" in line for line in handshakes)


@pytest.mark.parametrize("backend", ["file", "posthog", "otlp"])
def test_it_starts_without_a_warning(collector_binary: Path, tmp_path: Path, backend: str) -> None:
    """No setting that ships is deprecated or doubtful, and no log holds the project's key."""
    with PostHogDouble() as posthog:
        settings = {**posthog_settings(posthog.url), "FRANKLINWH_OTLP_ENDPOINT": posthog.url}
        with Collector(collector_binary, tmp_path, backend, **settings) as collector:
            started = collector.log()

    assert [line for line in started.splitlines() if "\tinfo\t" not in line] == []
    assert KNOWN_KEY not in collector.log()


def test_it_ends_when_it_is_asked(collector: Collector, tmp_path: Path) -> None:
    """SIGTERM is a clean end, and its process is gone."""
    pid = collector.pid
    # It says that it is ready a moment before it listens for signals.
    send(collector.url, tmp_path, recent(1))

    assert collector.stop() == 0
    assert not os.path.exists(f"/proc/{pid}") or os.name != "posix"
