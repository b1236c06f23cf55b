"""
`installs`: how often the package was fetched, as Scarf's aggregates say, by version, by operating system, by country.

Each line is reduced as it arrives to those three metrics of the policy; what else it holds is never kept, and what is
no version, no known system, no country becomes `other`, so that no text of anybody's gets through.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from franklinwh_telemetry.maintainer.remote import Remote

API: Final = "https://api.scarf.sh"
SERVICE: Final = "Scarf"
TOKEN_VARIABLE: Final = "SCARF_API_TOKEN"  # noqa: S105 - the name of a variable
OWNER_VARIABLE: Final = "SCARF_ENTITY_NAME"
MEDIA_TYPE: Final = "application/x-ndjson"
ROLLUP: Final = "daily"
BREAKDOWNS: Final = {"by-version": "version", "by-platform": "platform", "by-country": "country"}
"""What is asked for, and the field that such a row is about; no other breakdown is ever asked for."""

TITLES: Final = {"version": "package version", "platform": "operating system", "country": "country"}
OTHER: Final = "other"
MAX_COUNT: Final = 2**53 - 1

_DATE_CHARACTERS: Final = len("2026-11-24")
_OWNER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
_ARTIFACT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}){0,3}", re.ASCII)
# Three numbers at most: four would be an address.
_VERSION: Final = re.compile(
    r"latest|v?[0-9]{1,6}(\.[0-9]{1,6}){0,2}((-?(alpha|beta|rc|a|b)|\.post|\.dev)\.?[0-9]{0,6}){0,3}", re.ASCII
)
_FIRST_WORD: Final = re.compile(r"[a-z]+", re.ASCII)
_SYSTEMS: Final = {
    "linux": "Linux",
    "macos": "macOS",
    "darwin": "macOS",
    "windows": "Windows",
    "ios": "iOS",
    "android": "Android",
    "freebsd": "FreeBSD",
    "openbsd": "OpenBSD",
    "sunos": "SunOS",
    "aix": "AIX",
    "unknownplatform": "unknown",
    "allplatforms": "any",
}
_ISO_3166: Final = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
_COUNTRIES: Final = frozenset(_ISO_3166.split())


@dataclass(frozen=True, order=True)
class Row:
    """So many fetches of *artifact* on *day* whose *metric* (version, platform, country) was *value*."""

    day: date
    artifact: str
    metric: str
    value: str
    total: int

    def to_fields(self) -> dict[str, object]:
        """For JSON."""
        return {"date": self.day.isoformat(), "artifact": self.artifact, self.metric: self.value, "total": self.total}


@dataclass
class Installs:
    """What is kept of an answer, added up: *skipped* counts the lines that were not understood, by reason."""

    since: date
    until: date
    skipped: Counter[str] = field(default_factory=Counter)
    _totals: Counter[tuple[date, str, str, str]] = field(default_factory=Counter)

    def add(self, line: bytes) -> None:
        """Reduce a line of Scarf's answer, and count it."""
        found = parse_line(line)
        if isinstance(found, str):
            self.skipped[found] += 1
        else:
            self.count(found)

    def count(self, row: Row) -> None:
        """Count a row."""
        self._totals[row.day, row.artifact, row.metric, row.value] += row.total

    def rows(self) -> list[Row]:
        """Everything that is kept, by day."""
        return sorted(Row(*key, total) for key, total in self._totals.items())

    def table(self, metric: str) -> list[tuple[str, str, int]]:
        """Artifact, value, and the total of all days, the most first."""
        totals: Counter[tuple[str, str]] = Counter()
        for (_day, artifact, found, value), total in self._totals.items():
            if found == metric:
                totals[artifact, value] += total
        return sorted(((*key, total) for key, total in totals.items()), key=lambda row: (row[0], -row[2], row[1]))

    def to_fields(self) -> dict[str, object]:
        """For JSON."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "rows": [row.to_fields() for row in self.rows()],
            "skipped": dict(sorted(self.skipped.items())),
        }


def fetch(remote: Remote, owner: str, since: date, until: date) -> Installs:
    """Ask Scarf for the three breakdowns of all packages of *owner*; raises `RemoteError`."""
    query = [("start_date", since.isoformat()), ("end_date", until.isoformat()), ("rollup", ROLLUP)]
    query += [("breakdown", breakdown) for breakdown in BREAKDOWNS]
    installs = Installs(since, until)
    for line in remote.lines(f"/v2/packages/{owner}/aggregates", query, MEDIA_TYPE):
        installs.add(line)
    return installs


def parse_line(line: bytes) -> Row | str:
    """The row in a line of Scarf's answer, or why it is none: of nothing else a trace is left."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(fields, dict):
        return "no object"
    metric = BREAKDOWNS.get(_text(fields, "breakdown"))
    if metric is None or fields.get("rollup") != ROLLUP:
        return "a breakdown that was not asked for"
    return _row(fields, metric)


def read_saved(data: bytes) -> Installs | None:
    """What `installs --json` has printed, every row reduced anew, the reasons left out; None for something else."""
    try:
        saved = json.loads(data)
        installs = Installs(date.fromisoformat(saved["since"]), date.fromisoformat(saved["until"]))
        if lost := sum(saved["skipped"].values()):
            installs.skipped["when they were fetched"] = lost
        for fields in saved["rows"]:
            row = _row(fields, next(metric for metric in TITLES if metric in fields))
            if isinstance(row, str):
                return None
            installs.count(row)
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError):
        return None
    return installs


def _row(fields: Mapping[str, Any], metric: str) -> Row | str:
    """The row of a metric, or what it lacks."""
    total = fields.get("total")
    if type(total) is not int or not 0 <= total <= MAX_COUNT:
        return "no count"
    try:
        day = date.fromisoformat(_text(fields, "date")[:_DATE_CHARACTERS])
    except ValueError:
        return "no date"
    artifact = _text(fields, "artifact")
    named = artifact if _ARTIFACT.fullmatch(artifact) else OTHER
    return Row(day, named, metric, _REDUCED[metric](_text(fields, metric)), total)


def version_of(text: str) -> str:
    """A package's version, or `other`."""
    return text if _VERSION.fullmatch(text) else OTHER


def system_of(text: str) -> str:
    """The family of an operating system, without its version and its processor."""
    word = _FIRST_WORD.match(text.strip().lower())
    return _SYSTEMS.get(word.group(), OTHER) if word else OTHER


def country_of(text: str) -> str:
    """A country's two letters, or `other`."""
    return text.upper() if text.upper() in _COUNTRIES else OTHER


_REDUCED: Final = {"version": version_of, "platform": system_of, "country": country_of}


def report_sections(installs: Installs) -> list[dict[str, Any]]:
    """The same for the report: a section for each metric, of plain texts, as `Section(**fields)` takes them."""
    days = f"{installs.since.isoformat()} to {installs.until.isoformat()}"
    return [
        {
            "title": f"Installations by {TITLES[metric]}",
            "note": " ".join([f"{days}.", *remarks(installs)]),
            "columns": ["artifact", TITLES[metric], "fetched"],
            "rows": [[artifact, value, str(total)] for artifact, value, total in installs.table(metric)],
        }
        for metric in BREAKDOWNS.values()
    ]


def remarks(installs: Installs) -> list[str]:
    """What has to be said beside the numbers."""
    said = ["Fetches through Scarf's gateway alone: CI and repeated pulls count, mirrors, caches and HACS do not."]
    if lost := installs.skipped.total():
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(installs.skipped.items()))
        verbs = ("was", "is") if lost == 1 else ("were", "are")
        said.append(f"{lost} of Scarf's lines {verbs[0]} not understood and {verbs[1]} left out ({reasons}).")
    return said


def owner_problem(owner: str | None) -> str | None:
    """What is wrong with the name of an owner at Scarf, if anything."""
    if not owner:
        return f"name the owner of the packages at Scarf: --owner NAME, or {OWNER_VARIABLE}"
    return None if _OWNER.fullmatch(owner) else "an owner at Scarf is a name of letters, digits, - and _"


def explain(_status: int, fields: Mapping[str, Any]) -> str | None:
    """What a refusal of Scarf's means, and how to mend it."""
    by_code = {
        "not-a-pro-member": "the export needs one of Scarf's paid plans",
        "range-too-long": "give a later --since or an earlier --until",
        "not-found": "is --owner the name of a user or an organization at Scarf, and may this token read it?",
        "invalid-package-query": "is --owner right?",
    }
    return by_code.get(_text(fields, "code"), f"is {TOKEN_VARIABLE} whole and valid, and --owner right?")


def _text(fields: Mapping[str, Any], name: str) -> str:
    found = fields.get(name)
    return found if isinstance(found, str) else ""
