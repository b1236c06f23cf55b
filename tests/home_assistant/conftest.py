"""
What the tests on a real Home Assistant stand on: the example integration, and a configuration folder of their own.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest
from homeassistant.helpers.storage import Store
from homeassistant.setup import async_setup_component
from house import EXAMPLE, Gateway, House

from franklinwh_telemetry import guard
from franklinwh_telemetry.launch import SENDER_MARK
from franklinwh_telemetry.testing import TelemetryError

# Home Assistant looks for custom integrations in this package; its test kit would bring one of its own.
custom_components = ModuleType("custom_components")
custom_components.__path__ = [str(EXAMPLE)]
sys.modules["custom_components"] = custom_components

STORING = {name: getattr(Store, name) for name in ("_async_load", "_async_write_data", "async_remove")}
"""What the test kit replaces by something in memory; our own files are to be real ones."""

FOREIGN = ("DO_NOT_TRACK", "STATE_DIRECTORY", "XDG_STATE_HOME")


@pytest.fixture(autouse=True)
def world(tmp_path, monkeypatch, enable_custom_integrations):
    """Give the test an empty home, no caller's settings and no sender; what we would swallow is raised."""
    for name in list(os.environ):
        if name in FOREIGN or name.startswith("FRANKLINWH_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "config" / ".storage").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setenv(SENDER_MARK, "1")
    monkeypatch.setattr(guard, "reraising", TelemetryError)
    yield
    guard.notes.clear()
    guard.forget_state_folder()


@pytest.fixture
def senders(monkeypatch):
    """Let Home Assistant start real senders."""
    monkeypatch.delenv(SENDER_MARK)


def ours_for_real(real, replaced):
    """The real method for our own stores, and the test kit's for all others."""

    def stored(store, *arguments):
        return (real if store.key.startswith("franklinwh_telemetry") else replaced)(store, *arguments)

    return stored


@pytest.fixture
def house(hass, hass_storage, tmp_path):
    """Return a Home Assistant with a configuration folder of its own."""
    hass.config.config_dir = str(tmp_path / "config")
    with pytest.MonkeyPatch.context() as patched:
        for name, real in STORING.items():
            patched.setattr(Store, name, ours_for_real(real, getattr(Store, name)))
        yield House(hass)


@pytest.fixture
async def front_end(house, hass_client):
    """Return a client that is logged in, and speaks HTTP as the front end does."""
    for component in ("config", "diagnostics"):
        assert await async_setup_component(house.hass, component, {})
    return await hass_client()


@pytest.fixture
async def gateway(house) -> Gateway:
    """Return a gateway whose user was never asked."""
    return await house.add("SERIAL-1")


@pytest.fixture
async def sharing(house) -> Gateway:
    """Return a gateway whose user has said yes."""
    return await house.add("SERIAL-1", share_usage=True)
