"""
How `franklinwh-cli` 0.6.4 is spoken to, for `Grammar.from_data`.

Generated, not written: `grammar_source(grammar_data(build_parser()))` of `franklinwh_telemetry.integrations.argparse`
prints the literal, and a test compares it with the installed program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

GRAMMAR: Final[Mapping[str, Any]] = {
    "options": (
        ("-h --help", 0, (), "", True),
        ("--version", 0, (), "", True),
        ("--config -c",),
        ("--email -e",),
        ("--password -p",),
        ("--gateway -g",),
        ("--installer", 0),
        ("--json -j", 0),
        ("--no-color", 0),
        ("-v --verbose", 0),
        ("--trace",),
        ("--api-trace", 0),
        ("--log-file",),
    ),
    "positionals": (("A...",),),
    "subcommands": {
        "status st": {"options": (("-h --help", 0, (), "", True),)},
        "discover disc": {"options": (("-h --help", 0, (), "", True), ("-v --verbose", 0))},
        "mode": {
            "options": (
                ("-h --help", 0, (), "", True),
                ("--set",),
                ("--soc", None, (), "int"),
                ("--duration", None, (), "int"),
                ("--resume-mode",),
            ),
        },
        "tou": {
            "options": (
                ("-h --help", 0, (), "", True),
                ("--dispatch", 0),
                ("--set",),
                ("--start",),
                ("--end",),
                ("--default",),
                ("--active-only", 0),
                ("--file",),
                ("--rates-file",),
                ("--season",),
                ("--months",),
                ("--month", None, (), "int"),
                ("--day-type", None, ("everyday", "weekday", "weekend")),
                ("--next", 0),
                ("--price", 0),
                ("--all", 0),
                ("--extended", 0),
                ("--current", 0),
                ("--multi-season",),
                ("--wait", 0),
                ("--restore", 0),
            ),
        },
        "energy": {
            "options": (
                ("-h --help", 0, (), "", True),
                ("--period", None, ("day", "week", "month", "year", "ytd", "lifetime")),
                ("--date",),
                ("--format", None, ("table", "json", "csv")),
                ("--output -o",),
                ("--interval", None, ("5min",)),
                ("--all-fields", 0),
                ("--describe", 0),
            ),
        },
        "raw": {
            "options": (
                ("-h --help", 0, (), "", True),
                ("--headers -H", 0),
                ("--timings -T", 0),
                ("--validate-schema", 0),
            ),
            "positionals": (("?",), ("*",)),
        },
        "metrics": {"options": (("-h --help", 0, (), "", True),)},
        "monitor mon": {
            "options": (
                ("-h --help", 0, (), "", True),
                ("-i --interval", None, (), "int"),
                ("-d --duration", None, (), "int"),
                ("--compact", 0),
            ),
        },
        "accessories acc": {"options": (("-h --help", 0, (), "", True), ("--power", 0))},
        "sc smart-circuits": {
            "options": (
                ("-h --help", 0, (), "", True),
                ("--on", None, (), "int"),
                ("--off", None, (), "int"),
                ("--schedule", None, (), "int"),
                ("--set-schedule", None, (), "int"),
                ("--window",),
                ("--cycle-days", None, (), "int"),
                ("--base-date",),
                ("--yes -y", 0),
                ("--cutoff", None, (), "int"),
                ("--disable-cutoff", None, (), "int"),
                ("--soc", None, (), "int"),
                ("--load-limit", None, (), "int"),
                ("--detail", 0),
                ("--circuit", None, (), "int"),
                ("--amps", None, (), "int"),
            ),
        },
        "gen generator": {"options": (("-h --help", 0, (), "", True), ("--schedule",), ("--yes -y", 0))},
        "network net": {
            "options": (("-h --help", 0, (), "", True),),
            "positionals": (("A...",),),
            "subcommands": {
                "status": {
                    "options": (
                        ("-h --help", 0, (), "", True),
                        ("--watch", "?", (), "int"),
                        ("--probe-local", 0),
                    ),
                },
                "scan": {
                    "options": (
                        ("-h --help", 0, (), "", True),
                        ("--min-rssi", None, (), "int"),
                        ("--scan-time", None, (), "int"),
                        ("--all", 0),
                    ),
                },
                "set-wifi": {
                    "options": (
                        ("-h --help", 0, (), "", True),
                        ("--ssid",),
                        ("--password",),
                        ("--use-stored", 0),
                        ("--yes -y", 0),
                        ("--no-verify", 0),
                        ("--timeout", None, (), "int"),
                        ("--min-rssi", None, (), "int"),
                        ("--allow-no-fallback", 0),
                        ("--allow-weak-signal", 0),
                        ("--trust-ethernet", 0),
                    ),
                    "required": (("--ssid",),),
                    "exclusive": (("--password", "--use-stored"),),
                },
            },
        },
        "diag diagnostic": {"options": (("-h --help", 0, (), "", True),)},
        "bms battery": {"options": (("-h --help", 0, (), "", True),)},
        "support snapshot": {
            "options": (
                ("-h --help", 0, (), "", True),
                ("--info -i", 0),
                ("--diag -d", 0),
                ("--mock -m", 0),
                ("--save -s", 0),
                ("--redact -r", "?", ("partial", "full")),
                ("--label -l",),
                ("--analyze -a", 0),
                ("--compare",),
                ("--scope", None, ("all", "network", "software", "power")),
                ("--nettest -t", 0),
                ("--interval", None, (), "int"),
                ("--duration", None, (), "int"),
                ("--record",),
                ("--fem-url",),
                ("--bms", 0),
            ),
        },
        "schema": {"options": (("-h --help", 0, (), "", True), ("--live", 0), ("--filter",))},
        "fetch": {
            "options": (
                ("-h --help", 0, (), "", True),
                ("--data -d",),
                ("--data-file -f",),
                ("--params -P", "*"),
                ("--output -o",),
                ("--no-gateway", 0),
                ("--inject-user", 0),
                ("--app-version",),
            ),
            "positionals": ((None, ("GET", "POST", "get", "post")), ()),
        },
    },
}
