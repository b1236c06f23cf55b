"""
The SQL by which events become aggregates: read and judged once, counted once, narrowed to numbers, grouped.
"""

from __future__ import annotations

from typing import Final

from franklinwh_telemetry.event import MAX_LATENCY_MS
from franklinwh_telemetry.vocabulary import MAX_COMMAND_CHARS, OTHER

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""The Collector takes requests of 1 MiB, which are a few MiB as JSON; DuckDB holds two such lines for each thread."""

MAX_APPLICATIONS: Final = 50
MAX_COMMANDS: Final = 1000
"""Of all applications together; a page with more would be too large to open."""

REASONS: Final = {
    "line": "lines, or parts of one, that are no OTLP/JSON request: damaged, torn or something else",
    "application": "spans without the name of an application (`service.name`)",
    "ids": "spans without a trace id and a span id",
    "command": "spans without a command",
    "time": "spans without a start time",
    "latency": "spans without a latency of 0 ms to 7 days",
    "success": "spans without success or failure",
    "uuid": "spans without a random execution UUID",
    "chosen": "events of other applications than the chosen one",
    "dates": "events outside the dates asked for",
    "duplicate": "copies of events that are counted once",
    "beyond": f"events of applications beyond the {MAX_APPLICATIONS} with the most events",
    "rare": f"events of commands beyond the {MAX_COMMANDS} most used, which are counted as `{OTHER}`",
}
"""What is left out, or not shown as what it is, in the order in which it is told."""

LIMITS: Final = {"most_chars": MAX_COMMAND_CHARS, "most_ms": MAX_LATENCY_MS, "largest": MAX_LINE_BYTES}
RANKS: Final = {"applications": MAX_APPLICATIONS, "commands": MAX_COMMANDS, "other": OTHER}

_ATTRIBUTES: Final = "STRUCT(key VARCHAR, value STRUCT(stringValue VARCHAR, intValue VARCHAR, boolValue VARCHAR))[]"
_SPAN: Final = f"STRUCT(traceId VARCHAR, spanId VARCHAR, startTimeUnixNano VARCHAR, attributes {_ATTRIBUTES})"
COLUMNS: Final = {
    "resourceSpans": f"STRUCT(resource STRUCT(attributes {_ATTRIBUTES}), scopeSpans STRUCT(spans {_SPAN}[])[])[]"
}


VALUE_OF: Final = """
CREATE TEMP MACRO value_of(attributes, name) AS [one.value for one in attributes if one.key = name][1]
"""

# What is damaged goes through all of this as one row without anything, so that it can be counted. `records` must be
# said: without it one line that is a list makes its neighbours count as damaged, too.
READ: Final = """
CREATE TABLE judged AS
WITH requests AS (
    SELECT unnest(coalesce(resourceSpans, [NULL])) AS resource
    FROM read_json($files, format = 'newline_delimited', records = true, columns = $columns, ignore_errors = true,
                   maximum_object_size = $largest)
), scopes AS (
    SELECT resource.scopeSpans IS NULL AS damaged,
           value_of(resource.resource.attributes, 'service.name').stringValue AS application,
           unnest(coalesce(resource.scopeSpans, [NULL])) AS scope
    FROM requests
), spans AS (
    SELECT damaged, application, unnest(CASE WHEN damaged THEN [NULL] ELSE scope.spans END) AS span FROM scopes
), facts AS (
    SELECT damaged, application,
           CASE WHEN length(span.traceId) = 32 THEN try_cast(span.traceId AS UUID) END AS trace_id,
           CASE WHEN length(span.spanId) = 16 THEN try_cast(repeat('0', 16) || span.spanId AS UUID) END AS span_id,
           value_of(span.attributes, 'franklinwh.command').stringValue AS command,
           try_cast(span.startTimeUnixNano AS UBIGINT) // 1000000 AS at_ms,
           try_cast(value_of(span.attributes, 'franklinwh.execution_latency_ms').intValue AS BIGINT) AS latency_ms,
           value_of(span.attributes, 'franklinwh.success').boolValue AS success,
           value_of(span.attributes, 'franklinwh.execution_uuid').stringValue AS execution_uuid
    FROM spans
)
SELECT CASE
           WHEN damaged THEN 'line'
           WHEN application IS NULL OR NOT regexp_full_match(application, '[a-z0-9][a-z0-9._-]{0,63}')
               THEN 'application'
           WHEN trace_id IS NULL OR span_id IS NULL THEN 'ids'
           WHEN command IS NULL OR length(command) NOT BETWEEN 1 AND $most_chars THEN 'command'
           WHEN at_ms IS NULL THEN 'time'
           WHEN latency_ms IS NULL OR latency_ms NOT BETWEEN 0 AND $most_ms THEN 'latency'
           WHEN success IS NULL OR success NOT IN ('true', 'false') THEN 'success'
           WHEN length(execution_uuid) = 36 AND execution_uuid[15] = '4'
                AND try_cast(execution_uuid AS UUID) IS NOT NULL THEN
               CASE
                   WHEN $chosen IS NOT NULL AND application <> $chosen THEN 'chosen'
                   WHEN at_ms // 86400000 NOT BETWEEN $since AND $until THEN 'dates'
               END
           ELSE 'uuid'
       END AS reason,
       trace_id, span_id, application, command, (at_ms // 86400000)::INTEGER AS day, at_ms::BIGINT AS at_ms,
       latency_ms, success = 'true' AS success, try_cast(execution_uuid AS UUID) AS execution_uuid
FROM facts
"""

READ_NOTHING: Final = """
CREATE TABLE judged (
    reason VARCHAR, trace_id UUID, span_id UUID, application VARCHAR, command VARCHAR, day INTEGER, at_ms BIGINT,
    latency_ms BIGINT, success BOOLEAN, execution_uuid UUID
)
"""

COUNT_SKIPPED: Final = "SELECT reason, count(*) FROM judged WHERE reason IS NOT NULL GROUP BY reason"

# Ids are looked at alone first, because an id that is there twice is rare. Of two that differ in their facts, which
# only a forger makes, the lesser stays, whatever the order of the files.
DROP_DUPLICATES: Final = """
DELETE FROM judged WHERE rowid IN (
    SELECT found FROM (
        SELECT judged.rowid AS found,
               row_number() OVER (
                   PARTITION BY trace_id, span_id
                   ORDER BY application, command, at_ms, latency_ms, success, execution_uuid
               ) AS place
        FROM judged
        SEMI JOIN (
            SELECT trace_id, span_id FROM judged WHERE reason IS NULL GROUP BY ALL HAVING count(*) > 1
        ) AS twice USING (trace_id, span_id)
        WHERE reason IS NULL
    ) WHERE place > 1
)
"""

RANK_COMMANDS: Final = """
CREATE TABLE commands AS
WITH counted AS (
    SELECT application, command, count(*) AS runs FROM judged WHERE reason IS NULL GROUP BY ALL
), applications AS (
    SELECT application FROM counted GROUP BY application ORDER BY sum(runs) DESC, application LIMIT $applications
), ranked AS (
    SELECT application, command, row_number() OVER (ORDER BY runs DESC, application, command) AS place
    FROM counted SEMI JOIN applications USING (application)
), named AS (
    SELECT application, command AS said, CASE WHEN place <= $commands THEN command ELSE $other END AS command
    FROM ranked
)
SELECT application, said, command, said <> command AS rare, split_part(command, ' ', 1) AS of_group,
       (dense_rank() OVER (ORDER BY application, command) - 1)::INTEGER AS id
FROM named
"""

RUNS: Final = """
CREATE TABLE runs AS
SELECT id, day, latency_ms, success, execution_uuid, rare
FROM judged JOIN commands ON commands.application = judged.application AND commands.said = judged.command
WHERE reason IS NULL
"""

COUNT_BEYOND: Final = """
SELECT (SELECT count(*) FROM judged WHERE reason IS NULL) - (SELECT count(*) FROM runs)
"""
COUNT_RARE: Final = "SELECT count(*) FROM runs WHERE rare"
FORGET: Final = "DROP TABLE judged"

USERS: Final = """
CREATE TABLE users AS
SELECT DISTINCT id, application, of_group, day, execution_uuid
FROM runs JOIN (SELECT DISTINCT id, application, of_group FROM commands) USING (id)
"""

SCOPES: Final = "SELECT DISTINCT id, application, command, of_group FROM commands ORDER BY id"
DAYS: Final = "SELECT min(day), max(day), count(*) FROM runs"

# A step is a whole latency below 32 ms, and above it a sixteenth of its doubling.
CELLS: Final = """
WITH steps AS (
    SELECT id, day, count(*) AS runs, count_if(NOT success) AS errors, sum(latency_ms) AS latency_ms,
           CASE WHEN latency_ms < 32 THEN latency_ms
                ELSE (log2(latency_ms).floor()::INTEGER - 4) * 16
                     + (latency_ms >> (log2(latency_ms).floor()::INTEGER - 4))
           END AS step
    FROM runs GROUP BY ALL
)
SELECT id, day - $first AS day, sum(runs)::BIGINT, sum(errors)::BIGINT, sum(latency_ms)::BIGINT,
       flatten(list([step, runs] ORDER BY step))
FROM steps GROUP BY id, day ORDER BY day, id
"""

DAILY: Final = """
SELECT application, of_group, id, day - $first AS day, count(DISTINCT execution_uuid)
FROM users GROUP BY GROUPING SETS ((application, day), (application, of_group, day), (id, application, of_group, day))
ORDER BY day, application, of_group, id
"""

IN_PERIOD: Final = """
SELECT application, of_group, id, count(DISTINCT execution_uuid)
FROM users WHERE day - $first BETWEEN $from AND $to
GROUP BY GROUPING SETS ((application), (application, of_group), (id, application, of_group))
ORDER BY application, of_group, id
"""
