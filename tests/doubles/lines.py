"""Lines of franklinwh-cli that say something of their user."""

from __future__ import annotations

LINES: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("-e", "{}", "-p", "{}", "-g", "{}", "status"),
    ("--email={}", "--password={}", "discover"),
    ("monitor", "--gateway={}"),
    ("tou", "--set", "{}", "--start={}", "--end={}", "--default={}"),
    ("tou", "--file={}", "--rates-file={}", "--months={}"),
    ("mode", "--set=self_consumption", "--resume-mode={}"),
    ("energy", "--date={}", "--output={}"),
    ("network", "set-wifi", "--ssid={}", "--password={}"),
    ("support", "--label={}", "--compare={}", "--record={}"),
    ("fetch", "GET", "{}", "--data={}", "--params={}"),
    ("raw", "{}", "{}"),
    ("sc", "--base-date={}"),
    ("nonsense", "{}"),
)
"""Lines of franklinwh-cli with every option that takes a text of the user's; `{}` is where a secret stands."""
