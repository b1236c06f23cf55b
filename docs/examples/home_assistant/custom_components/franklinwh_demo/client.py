"""
A client of the shape of franklinwh-cloud's, for a gateway that exists only here: it needs no account and no network.

An integration that means it has `franklinwh_cloud.Client` in its place, and in its requirements.
"""

from __future__ import annotations

from homeassistant.exceptions import HomeAssistantError

from .const import MODES


class Client:
    """One gateway, by its serial number."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self.mode = MODES[0]
        self.reserve = 20
        self.circuits = {1: False}

    async def get_stats(self) -> dict[str, object]:
        """How the gateway stands."""
        return {"mode": self.mode, "circuits": dict(self.circuits)}

    async def set_mode(self, mode: str, reserve: int | None = None) -> None:
        """Choose an operating mode, and how much of the battery is kept back, in per cent."""
        if mode not in MODES:
            raise HomeAssistantError(f"{self.gateway} knows no mode {mode}")
        self.mode = mode
        self.reserve = self.reserve if reserve is None else reserve

    async def set_smart_circuit_state(self, circuit: int, *, turn_on: bool) -> None:
        """Switch a circuit."""
        self.circuits[circuit] = turn_on
