"""
Writes the files of `tests/contract/`: run it after a change to the contract, and read what changed.

`python tests/doubles/contract.py` (with the package importable). The tests never write them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from franklinwh_telemetry.event import CommandEvent, Record, clamp_latency_ms
from franklinwh_telemetry.sender.posthog import DEFAULT_EVENT_NAME, batch_body
from franklinwh_telemetry.sender.spans import otlp_json
from franklinwh_telemetry.vocabulary import OTHER, Vocabulary

FOLDER = Path(__file__).resolve().parent.parent / "contract"
APPLICATION = "franklinwh-cloud"
API_KEY = "phc_contract"
SEVEN_DAYS_MS = 7 * 24 * 60 * 60 * 1000

_UUID = "9b2c6f0e-1d34-4a5b-8c7d-6e5f40312213"

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "success": ("a command that did its work", {}),
    "failure": ("a command that failed", {"success": False}),
    "other": ("a line that no listed command matches", {"command": OTHER, "success": False}),
    "options": ("a listed command with its options", {"command": "tou --set --extended"}),
    "choice": ("a listed command with one listed choice of an option", {"command": "mode --set self_consumption"}),
    "latency-zero": ("start and end are the same instant", {"execution_latency_ms": 0}),
    "latency-maximum": ("seven days, the longest latency", {"execution_latency_ms": SEVEN_DAYS_MS}),
    "latency-beyond": ("longer than seven days is seven days", {"execution_latency_ms": SEVEN_DAYS_MS + 1}),
    "leading-zeros": (
        "ids and a UUID that begin with zeros keep them",
        {
            "execution_uuid": "00000000-0000-4000-8000-000000000001",
            "trace_id": "00000000000000000000000000000abc",
            "span_id": "0000000000000def",
        },
    ),
    "leap-day": ("29 February, noon", {"executed_at_ms": 1_709_208_000_000}),
    "last-millisecond": ("the last millisecond of a day", {"executed_at_ms": 1_735_689_599_999}),
    "epoch": ("time 0, the earliest there is", {"executed_at_ms": 0}),
    "unusual-text": (
        "characters that many JSON writers escape, and RFC 8785 does not; quote and backslash it does",
        {"command": 'a<b>&c é\u2028"\\'},
    ),
}


def facts_of(changes: dict[str, Any]) -> dict[str, Any]:
    """The facts as they were measured, before any limit is applied."""
    facts = {
        "command": "status",
        "executed_at_ms": 1_732_452_301_207,
        "execution_latency_ms": 1_834,
        "execution_uuid": _UUID,
        "success": True,
    }
    return {name: changes.get(name, value) for name, value in facts.items()}


def record_of(case: dict[str, Any]) -> Record:
    """The record of a case, made as a recorder makes it."""
    facts = case["facts"]
    vocabulary = Vocabulary([] if facts["command"] == OTHER else [facts["command"]])
    command = vocabulary.member(facts["command"])
    assert command is not None
    event = CommandEvent(
        command=command,
        executed_at_ms=facts["executed_at_ms"],
        execution_latency_ms=clamp_latency_ms(facts["execution_latency_ms"]),
        success=facts["success"],
        execution_uuid=UUID(facts["execution_uuid"]),
    )
    return Record(event=event, trace_id=int(case["trace_id"], 16), span_id=int(case["span_id"], 16))


def build(name: str) -> dict[str, Any]:
    """The whole case."""
    about, changes = CASES[name]
    case: dict[str, Any] = {
        "about": about,
        "application": APPLICATION,
        "facts": facts_of(changes),
        "trace_id": changes.get("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        "span_id": changes.get("span_id", "b7ad6b7169203331"),
    }
    record = record_of(case)
    case["otlp"] = otlp_json([record], APPLICATION)
    case["posthog_api_key"] = API_KEY
    case["posthog_event"] = DEFAULT_EVENT_NAME
    case["posthog"] = batch_body(API_KEY, [record]).decode()
    return case


if __name__ == "__main__":
    for case_name in CASES:
        text = json.dumps(build(case_name), indent=2, ensure_ascii=True)
        (FOLDER / f"{case_name}.json").write_text(text + "\n", encoding="ascii")
