"""
franklinwh-cloud's vocabulary: the commands of `franklinwh-cli` 0.6.4 that may be named, each for a question.

Every subcommand is here, so that its use, latency and failures can be seen and what nobody calls can go. An
option is here where a maintainer would decide differently for knowing that it was given; a value only where
the program itself has a fixed set of them. Never here: whose account or gateway it is, and anything typed freely
(charge levels, times, circuits, paths, networks, methods of `raw`, endpoints of `fetch`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from franklinwh_telemetry.grammar import Grammar

APPLICATION: Final = "franklinwh-cloud"

VERSION: Final = "0.6.4"
"""The release whose commands were reviewed."""

ENDLESS: Final = (
    # `tou --wait` holds a dispatch until Ctrl-C and then restores: is that relied on, and for which dispatch?
    # First among the `tou` commands, so that a line with --wait is always one that Ctrl-C ends well.
    "tou --wait",
    "tou --set --wait",
    "tou --set GRID_CHARGE --wait",
    "tou --set GRID_EXPORT --wait",
    "tou --set SELF --wait",
    "tou --set HOME --wait",
    "tou --set STANDBY --wait",
    "tou --set SOLAR --wait",
    "tou --set CUSTOM --wait",
    # The dashboard: which of its two faces is used, do scripts read it, is its pace ever changed, is it left to end?
    "monitor",
    "monitor --compact",
    "monitor --json",
    "monitor --interval",
    "monitor --duration",
    # The two views that repeat until Ctrl-C: is watching used, or would one look do?
    "network status --watch",
    "support --nettest --interval",
)

_OTHERS: Final = (
    # The overview that most begin with; do scripts depend on its JSON, which then cannot change freely?
    "status",
    "status --json",
    # Is the longer enumeration wanted, whose extra calls are slow?
    "discover",
    "discover --verbose",
    "discover --json",
    # Which operating modes fail most, by the policy; is the reserve set along, and are backups given an end?
    "mode",
    "mode --json",
    "mode --set",
    "mode --set time_of_use",
    "mode --set self_consumption",
    "mode --set emergency_backup",
    "mode --set time_of_use --soc",
    "mode --set self_consumption --soc",
    "mode --set emergency_backup --soc",
    "mode --set emergency_backup --duration",
    "mode --set emergency_backup --resume-mode",
    # Which dispatches are set and which fail, all day, in a window or from a file: three paths in the program.
    "tou",
    "tou --set",
    "tou --set GRID_CHARGE",
    "tou --set GRID_EXPORT",
    "tou --set SELF",
    "tou --set HOME",
    "tou --set STANDBY",
    "tou --set SOLAR",
    "tou --set CUSTOM",
    "tou --set GRID_CHARGE --start",
    "tou --set GRID_EXPORT --start",
    "tou --set SELF --start",
    "tou --set HOME --start",
    "tou --set STANDBY --start",
    "tou --set SOLAR --start",
    "tou --set CUSTOM --file",
    # Do whole-year schedules work, and how often does a backup have to be restored by hand?
    "tou --multi-season",
    "tou --restore",
    # Are the --extended tables really used, by the policy; which of the other views are worth keeping?
    "tou --extended",
    "tou --dispatch",
    "tou --dispatch --extended",
    "tou --current",
    "tou --current --extended",
    "tou --next",
    "tou --price",
    "tou --price --all",
    "tou --price --active-only",
    "tou --json",
    # Which periods are fetched and time out; which formats are exported, so that their columns must stay?
    "energy",
    "energy --period day",
    "energy --period week",
    "energy --period month",
    "energy --period year",
    "energy --period ytd",
    "energy --period lifetime",
    "energy --period day --format csv",
    "energy --period week --format csv",
    "energy --period month --format csv",
    "energy --period year --format csv",
    "energy --period ytd --format csv",
    "energy --period lifetime --format csv",
    "energy --period day --format json",
    "energy --period week --format json",
    "energy --period month --format json",
    "energy --period year --format json",
    "energy --period ytd --format json",
    "energy --period lifetime --format json",
    "energy --format csv",
    "energy --format json",
    "energy --json",
    # Five-minute samples are the heaviest call of all; are the undocumented arrays and the field dictionary read?
    "energy --interval 5min",
    "energy --interval 5min --format csv",
    "energy --interval 5min --format json",
    "energy --all-fields",
    "energy --describe",
    # Are past days looked up, and are results kept in files?
    "energy --date",
    "energy --output",
    # How much is done past the commands; are the diagnostics of `raw` used? Its methods are typed freely: not here.
    "raw",
    "raw --headers",
    "raw --timings",
    "raw --validate-schema",
    # One session's API counters: does anybody look?
    "metrics",
    "metrics --json",
    # Is the live power worth its extra call over MQTT?
    "accessories",
    "accessories --power",
    "accessories --json",
    # Which of the Smart Circuit writes are used and fail; is the confirmation skipped, hence a script?
    "sc",
    "sc --on",
    "sc --off",
    "sc --schedule",
    "sc --set-schedule",
    "sc --set-schedule --yes",
    "sc --cutoff",
    "sc --disable-cutoff",
    "sc --load-limit",
    "sc --detail",
    "sc --detail --circuit",
    "sc --json",
    # The same for the generator.
    "gen",
    "gen --schedule",
    "gen --schedule --yes",
    "gen --json",
    # How often is the connection looked at, and does the local probe help?
    "network",
    "network --json",
    "network status",
    "network status --probe-local",
    "network status --json",
    "network scan",
    "network scan --all",
    "network scan --json",
    # Moving a gateway to another network can strand it: how often does it fail, and are the safeguards overridden?
    "network set-wifi",
    "network set-wifi --allow-no-fallback",
    "network set-wifi --allow-weak-signal",
    "network set-wifi --trust-ethernet",
    "network set-wifi --no-verify",
    "network set-wifi --use-stored",
    # The reports that issues are filed with: do they work, and does anybody parse them?
    "diag",
    "diag --json",
    "bms",
    "bms --json",
    # Which parts of the snapshot are used; is it redacted before it is shared, and fully?
    "support",
    "support --save",
    "support --save --redact",
    "support --redact",
    "support --redact full",
    "support --info",
    "support --diag",
    "support --mock",
    "support --analyze",
    "support --compare",
    "support --nettest",
    "support --nettest --bms",
    "support --nettest --record",
    "support --json",
    # Who maps fields needs these; is the live view used, and are the groups?
    "schema",
    "schema --live",
    "schema --live --filter",
    "schema --filter",
    "schema --json",
    # Arbitrary endpoints: reads or writes, and are the injected ids and the version header in the way?
    "fetch",
    "fetch GET",
    "fetch POST",
    "fetch GET --no-gateway",
    "fetch GET --inject-user",
    "fetch GET --app-version",
    "fetch POST --no-gateway",
    "fetch POST --inject-user",
    "fetch POST --app-version",
)

COMMANDS: Final = ENDLESS + _OTHERS

_UNFINISHED: Final = (
    "tou --set --wait",
    "monitor --interval",
    "monitor --duration",
    "support --nettest --interval",
    "mode --set",
    "mode --set time_of_use --soc",
    "mode --set self_consumption --soc",
    "mode --set emergency_backup --soc",
    "mode --set emergency_backup --duration",
    "mode --set emergency_backup --resume-mode",
    "tou --set",
    "tou --set GRID_CHARGE --start",
    "tou --set GRID_EXPORT --start",
    "tou --set SELF --start",
    "tou --set HOME --start",
    "tou --set STANDBY --start",
    "tou --set SOLAR --start",
    "tou --set CUSTOM --file",
    "tou --multi-season",
    "energy --date",
    "energy --output",
    "sc --on",
    "sc --off",
    "sc --schedule",
    "sc --set-schedule",
    "sc --set-schedule --yes",
    "sc --cutoff",
    "sc --disable-cutoff",
    "sc --load-limit",
    "sc --detail --circuit",
    "gen --schedule",
    "gen --schedule --yes",
    "network set-wifi",
    "network set-wifi --allow-no-fallback",
    "network set-wifi --allow-weak-signal",
    "network set-wifi --trust-ethernet",
    "network set-wifi --no-verify",
    "network set-wifi --use-stored",
    "support --compare",
    "support --nettest --record",
    "schema --live --filter",
    "schema --filter",
    "fetch",
    "fetch GET",
    "fetch POST",
    "fetch GET --no-gateway",
    "fetch GET --inject-user",
    "fetch GET --app-version",
    "fetch POST --no-gateway",
    "fetch POST --inject-user",
    "fetch POST --app-version",
)
"""Those which a line can be only with a value or an argument more, such as a level or a path."""


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary, made once; its grammar follows when a line needs it."""
    return Vocabulary(COMMANDS, grammar=grammar, until_interrupted=ENDLESS, unfinished=_UNFINISHED)


def grammar() -> Grammar:
    """How the program's lines are read, made anew."""
    from franklinwh_telemetry.grammar import Grammar  # noqa: PLC0415 - most lines are known without it
    from franklinwh_telemetry.vocabularies import franklinwh_cloud_words as words  # noqa: PLC0415
    from franklinwh_telemetry.vocabularies.franklinwh_cloud_grammar import GRAMMAR  # noqa: PLC0415

    return Grammar.from_data(
        {
            **GRAMMAR,
            "hoisted_flags": words.HOISTED_FLAGS,
            "hoisted_options": words.HOISTED_OPTIONS,
            "value_aliases": words.VALUE_ALIASES,
        },
    )
