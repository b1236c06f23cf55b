"""The ways to report a command that are measured side by side, and where PostHog's SDK is taken from."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

POSTHOG = "posthog==7.91.1"
LABELS = {
    "ours": "this package",
    "upstream": "franklinwh-cloud 0.6.4's own dispatcher",
    "posthog_sdk": "PostHog SDK in the process",
    "opentelemetry_sdk": "OpenTelemetry SDK in the process",
}


def ways_here() -> tuple[dict[str, str], list[str]]:
    """
    The ways that can be measured here, each with what comes first on its module path, and what is to be remarked.

    PostHog's SDK is installed into the user's cache folder at the first use; it is left out where pip cannot do that.
    """
    folder, reason = _posthog_folder()
    paths = {way: str(folder or "") if way == "posthog_sdk" else "" for way in LABELS}
    if folder is not None:
        return paths, []
    del paths["posthog_sdk"]
    return paths, [f"PostHog's SDK was left out: {reason}."]


def _posthog_folder() -> tuple[Path | None, str]:
    """A folder of the user's cache with PostHog's SDK in it, made at the first use; or why there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "franklinwh-telemetry"
    key = hashlib.sha256(f"{POSTHOG}\n{sys.version}\n{sys.platform}".encode()).hexdigest()[:16]
    folder = cache / f"bench-{key}"
    if (folder / "complete").exists():
        return folder, ""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--upgrade"]
    done = subprocess.run([*pip, "--target", str(folder), POSTHOG], capture_output=True, text=True, check=False)
    if done.returncode:
        return None, f"pip could not install {POSTHOG} (exit status {done.returncode})"
    (folder / "complete").touch()
    return folder, ""
