"""The configuration that ships: each rule that it must keep, read from its files and checked by the real binary."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from doubles.collector import CONFIGURATION, SOURCES
from franklinwh_telemetry.vocabularies import franklinwh_cloud

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CONFIGURATION.is_file(), reason="the sources are out of the way"),
]

BACKENDS = ("file", "posthog", "otlp")
SETTINGS = {
    "posthog": {"POSTHOG_API_KEY": "phc_example"},
    "otlp": {"FRANKLINWH_OTLP_ENDPOINT": "https://otlp.example.com"},
}
EXPORTERS = {"file": "file", "posthog": "posthog", "otlp": "otlp_http"}
VARIABLE = re.compile(r"\$\{env:([A-Z_]+)(?::-([^${}]*))?\}")
USED = re.compile(r"\$\{env:([A-Z_]+)")
NAMED = re.compile(r"\b((?:FRANKLINWH|POSTHOG)_[A-Z_]+)")
MIB = 1024 * 1024


def load(path: Path, **settings: str) -> Any:
    """A file as the Collector reads it with these variables: the innermost `${...}` is replaced first."""

    def replaced(found: re.Match[str]) -> str:
        return settings.get(found[1], found[2] or "")

    def of_text(text: str) -> Any:
        while (expanded := VARIABLE.sub(replaced, text)) != text:
            text = expanded
        if text.startswith("${file:"):
            return load(SOURCES / text[len("${file:") : -1], **settings)
        return yaml.safe_load(text) if text != "" else None

    def of_value(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: of_value(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [of_value(inner) for inner in value]
        return of_text(value) if isinstance(value, str) and "${" in value else value

    return of_value(yaml.safe_load(path.read_text(encoding="utf-8")))


def configuration(backend: str = "", **settings: str) -> dict[str, Any]:
    """The whole configuration with this backend, or the one that nothing set chooses."""
    chosen = {"FRANKLINWH_BACKEND": backend} if backend else {}
    loaded: dict[str, Any] = load(CONFIGURATION, FRANKLINWH_CONFIG=str(SOURCES), **chosen, **settings)
    return loaded


def validate(binary: Path, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Ask the real binary about the shipped configuration; it sees no variable but these."""
    environment = {"FRANKLINWH_CONFIG": str(SOURCES), "FRANKLINWH_DATA": str(folder), **settings}
    command = [str(binary), "validate", "--config", str(CONFIGURATION)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def start(binary: Path, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start what must not start, and return how it ended."""
    environment = {"FRANKLINWH_CONFIG": str(SOURCES), "FRANKLINWH_DATA": str(folder), **settings}
    command = [str(binary), "--config", str(CONFIGURATION)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("tls", ["off", "on"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_combination_is_valid(collector_binary: Path, tmp_path: Path, backend: str, tls: str) -> None:
    """The binary itself finds no fault in any backend, with TLS and without."""
    settings = {"FRANKLINWH_BACKEND": backend, "FRANKLINWH_TLS": tls, **SETTINGS.get(backend, {})}
    if tls == "on":
        settings |= {"FRANKLINWH_TLS_CERT": "/tmp/cert.pem", "FRANKLINWH_TLS_KEY": "/tmp/key.pem"}

    done = validate(collector_binary, tmp_path, **settings)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_set_is_valid_and_is_the_file(collector_binary: Path, tmp_path: Path) -> None:
    """Without a variable the backend is `file`."""
    assert validate(collector_binary, tmp_path).returncode == 0
    assert configuration()["service"]["pipelines"]["traces"]["exporters"] == ["file"]


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"FRANKLINWH_BACKEND": "posthog"}, "POSTHOG_API_KEY"),
        ({"FRANKLINWH_BACKEND": "posthog", "POSTHOG_API_KEY": ""}, "POSTHOG_API_KEY"),
        ({"FRANKLINWH_BACKEND": "otlp"}, "FRANKLINWH_OTLP_ENDPOINT"),
        ({"FRANKLINWH_BACKEND": "otlp", "FRANKLINWH_OTLP_ENDPOINT": ""}, "FRANKLINWH_OTLP_ENDPOINT"),
        ({"FRANKLINWH_TLS": "on", "FRANKLINWH_TLS_KEY": "/tmp/key.pem"}, "FRANKLINWH_TLS_CERT"),
        ({"FRANKLINWH_TLS": "on", "FRANKLINWH_TLS_CERT": "/tmp/cert.pem"}, "FRANKLINWH_TLS_KEY"),
        ({"FRANKLINWH_BACKEND": "surprise"}, "backends/surprise"),
        ({"FRANKLINWH_TLS": "surprise"}, "tls/surprise"),
        ({"FRANKLINWH_VOCABULARIES": "/surprise.json"}, "/surprise.json"),
    ],
)
def test_what_is_missing_stops_the_start_by_its_name(
    collector_binary: Path, tmp_path: Path, settings: dict[str, str], missing: str
) -> None:
    """Unset or empty, a variable that is needed is named, and nothing runs without it."""
    done = start(collector_binary, tmp_path, **settings)

    assert done.returncode != 0
    assert missing in done.stderr
    assert validate(collector_binary, tmp_path, **settings).returncode != 0


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"franklinwh-cloud": []}', '{"a": "status"}'])
def test_a_vocabulary_that_is_none_is_refused(collector_binary: Path, tmp_path: Path, content: str) -> None:
    """An empty, malformed or shapeless vocabulary fails `validate`, so that it never gets as far as a start."""
    vocabulary = tmp_path / "vocabulary.json"
    vocabulary.write_text(content, encoding="utf-8")

    done = validate(collector_binary, tmp_path, FRANKLINWH_VOCABULARIES=str(vocabulary))

    assert done.returncode != 0
    assert "vocabular" in done.stderr


def test_the_gates_vocabulary_is_the_one_that_ships() -> None:
    """The gate's file is what `franklinwh-telemetry vocabulary` prints: the reviewed list."""
    (path,) = (SOURCES / "vocabularies").iterdir()
    shipped = {"franklinwh-cloud": list(franklinwh_cloud.vocabulary().commands)}

    assert json.loads(path.read_text(encoding="utf-8")) == shipped


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_one_way_in_is_limited(backend: str) -> None:
    """OTLP over HTTP alone, on loopback, with limits of size and time, memory first and then the gate."""
    found = configuration(backend)
    (protocol,) = found["receivers"]["otlp"]["protocols"].items()
    name, http = protocol

    assert list(found["receivers"]) == ["otlp"]
    assert name == "http"
    assert http["endpoint"] == "127.0.0.1:4318"
    assert http["max_request_body_size"] == MIB
    assert (http["read_header_timeout"], http["read_timeout"], http["write_timeout"]) == ("5s", "15s", "30s")
    assert http["keepalive"] == {"idle_timeout": "60s"}
    assert http["include_metadata"] is False
    assert http["compression_algorithms"] == ["", "gzip"]
    assert http["middlewares"] == [{"id": "request_limit"}]
    assert "request_limit" in found["service"]["extensions"]
    assert found["extensions"]["request_limit"] == {
        "max_messages": 50_000,
        "max_depth": 32,
        "max_buffered_bytes": 64 * MIB,
        "max_concurrent_requests": 8,
    }
    assert http["tls"] == {"enabled": False}
    assert list(found["service"]["pipelines"]) == ["traces"]
    assert found["service"]["pipelines"]["traces"]["receivers"] == ["otlp"]
    assert found["service"]["pipelines"]["traces"]["processors"] == ["memory_limiter", "commandgate"]
    assert found["processors"]["commandgate"]["unknown_command"] == "other"
    assert list(found["processors"]["commandgate"]["vocabularies"]) == ["franklinwh-cloud"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_batched_before_it_is_kept(backend: str) -> None:
    """There is no `batch` processor, and the one exporter is the chosen backend's."""
    found = configuration(backend)

    assert set(found["processors"]) == {"memory_limiter", "commandgate"}
    assert list(found["exporters"]) == [EXPORTERS[backend]]
    assert found["service"]["pipelines"]["traces"]["exporters"] == [EXPORTERS[backend]]
    assert "batchprocessor" not in (SOURCES / "builder-config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("backend", ["posthog", "otlp"])
def test_a_queue_is_persistent_and_never_gives_up(backend: str) -> None:
    """On disk, sized by spans, batched behind it, refusing when full, and retried without an end."""
    found = configuration(backend)
    exporter = found["exporters"][EXPORTERS[backend]]
    queue = exporter["sending_queue"]

    assert queue["storage"] in found["extensions"]
    assert queue["storage"] in found["service"]["extensions"]
    assert found["extensions"][queue["storage"]]["fsync"] is True
    assert (queue["enabled"], queue["sizer"], queue["block_on_overflow"]) == (True, "items", False)
    assert queue["batch"]["sizer"] == "items"
    assert 0 < queue["batch"]["min_size"] <= queue["batch"]["max_size"] < queue["queue_size"]
    assert exporter["retry_on_failure"]["enabled"] is True
    assert exporter["retry_on_failure"]["max_elapsed_time"] == 0


def test_the_file_is_rotated_and_has_no_queue() -> None:
    """Only with rotation is the file neither truncated at a start nor torn by a kill."""
    exporter = configuration("file")["exporters"]["file"]

    assert exporter["rotation"]["max_megabytes"] > 0
    assert exporter["rotation"]["max_backups"] > 0
    assert not {"sending_queue", "append", "flush_interval"} & set(exporter)


def test_posthog_gets_the_five_facts_and_the_constants() -> None:
    """What may leave for PostHog is a list, and the key is asked about before anything does."""
    exporter = configuration("posthog", POSTHOG_API_KEY="phc_example")["exporters"]["posthog"]

    assert exporter["verify_key"] is True
    assert exporter["tls"] == {"insecure": False}
    assert exporter["event_name"] == "franklinwh_cloud_execution"
    assert exporter["distinct_id"] == {"attribute": "franklinwh.execution_uuid"}
    assert exporter["properties"] == {
        name: {"attribute": f"franklinwh.{name}"} for name in ("command", "execution_latency_ms", "success")
    }
    assert exporter["constants"] == {
        "$process_person_profile": False,
        "$geoip_disable": True,
        "$ip": "127.0.0.1",
    }


def test_nothing_else_listens_beyond_loopback() -> None:
    """Health and the Collector's own metrics are for this machine, and its own telemetry is sent nowhere."""
    found = configuration()
    telemetry = found["service"]["telemetry"]
    (reader,) = telemetry["metrics"]["readers"]

    assert found["extensions"]["health_check"]["endpoint"].startswith("127.0.0.1:")
    assert reader["pull"]["exporter"]["prometheus"]["host"] == "127.0.0.1"
    assert set(telemetry) == {"logs", "metrics"}
    assert set(telemetry["logs"]) == {"level", "output_paths", "error_output_paths"}
    assert set(found["extensions"]) == {"request_limit", "health_check", "file_storage/queue"}


def test_only_what_the_documentation_lists_can_be_set() -> None:
    """Each variable that a file reads is explained in a comment, and each one explained is read."""
    files = [CONFIGURATION, *(path for folder in ("backends", "tls") for path in (SOURCES / folder).rglob("*.yaml"))]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    read = {name for line in lines if not line.startswith("#") for name in USED.findall(line)}
    explained = {name for line in lines if line.startswith("#") for name in NAMED.findall(line)}

    assert read == explained


def test_our_components_are_in_the_binary_with_their_stability(collector_binary: Path) -> None:
    """`components` lists the gate, the exporters and the extensions of ours, and no provider of a network."""
    done = subprocess.run([str(collector_binary), "components"], capture_output=True, text=True, check=True)
    found = yaml.safe_load(done.stdout)
    ours = {
        component["name"]: component["stability"]
        for kind in ("processors", "exporters")
        for component in found[kind]
        if "franklinwh" in component["module"]
    }

    traces = {"logs": "Undefined", "metrics": "Undefined", "traces": "Alpha"}
    assert ours == {"commandgate": traces, "file": traces, "posthog": traces}
    extensions = {
        extension["name"]: extension["stability"]
        for extension in found["extensions"]
        if "franklinwh" in extension["module"]
    }
    assert extensions == {"file_storage": {"extension": "Beta"}, "request_limit": {"extension": "Alpha"}}
    assert sorted(provider["scheme"] for provider in found["providers"]) == ["env", "file", "yaml"]
