from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from franklinwh_telemetry import Telemetry, Vocabulary
from franklinwh_telemetry.consenting import turn_off
from franklinwh_telemetry.plan import looked_up
from support import APPLICATION, CONSENT, posix_only


@posix_only
@pytest.mark.parametrize("home", ["", "relative", "/nowhere/at/all"])
def test_off_looks_where_consent_is_looked_up(tmp_path, monkeypatch, home):
    """A yes that is found in the user database's home, because `HOME` is of no use, is switched off there too."""
    import pwd

    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir=str(tmp_path)))
    ini = Path(tmp_path, ".franklinwh.ini")
    ini.write_text(CONSENT)
    ini.chmod(0o600)
    telemetry = Telemetry(APPLICATION, Vocabulary(["status"]))
    assert telemetry.status().enabled

    told = turn_off(telemetry)

    assert (told.done, told.lines) == (True, [f"Off: {ini} says so."])
    assert not telemetry.status().enabled


def test_the_paths_are_absolute_and_in_order():
    """The working directory's two, then the home's; with a named file that one instead of the two."""
    here, home = os.getcwd(), os.environ["HOME"]

    assert looked_up(Telemetry(APPLICATION, Vocabulary(()))) == [
        os.path.join(here, "franklinwh.ini"),
        os.path.join(here, "franklinwh", "franklinwh.ini"),
        os.path.join(home, ".franklinwh.ini"),
    ]
    assert looked_up(Telemetry(APPLICATION, Vocabulary(()), config="other/../named.ini")) == [
        os.path.join(here, "named.ini"),
        os.path.join(home, ".franklinwh.ini"),
    ]
