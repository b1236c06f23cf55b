"""
A stand-in for the FranklinWH cloud, reached as a user behind a proxy reaches it: nothing of the client is changed.

`HTTPS_PROXY` leads to this machine, where the tunnel ends in a server of the cloud's name, whose authority
`SSL_CERT_FILE` names. Every answer is full of what must never be reported: serial numbers, an e-mail, charge levels.
"""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import trustme

from franklinwh_telemetry.sender.loopback import LoopbackReceiver, ReceivedRequest, reply

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

    Answer = Callable[[], list[bytes]]

HOST = "energy.franklinwh.com"

EMAIL = "surprise@home.example"
PASSWORD = "surprise-hunter2"
SERIAL = "10050006SURPRISE77"
BATTERY = "20050099SURPRISE88"
TOKEN = "APP_ACCOUNT:SURPRISE-TOKEN"
RESERVE = 37
"""The reserve that the account has set, in percent: a battery setting."""

CANARIES = (EMAIL, "surprise", "SURPRISE", PASSWORD)

MODES = {1: ("Time of Use", 9322, 3), 2: ("Self-Consumption", 9323, 2), 3: ("Emergency Backup", 9324, 1)}


class FranklinCloud:
    """
    `variables` are what a program needs in its environment to come here.

    `trouble` maps a word of a path to what is answered instead; "" is every path but the login's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(HOST).configure_cert(tls)
        self._server = _Tunnel(self._answer, tls=tls)
        self.trouble: dict[str, Answer] = {}
        self.valid_token = TOKEN
        self.logins = 0

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.__exit__(*exception)

    @property
    def variables(self) -> dict[str, str]:
        """The proxy, and the authority that vouches for the name behind it."""
        authority = self._folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(authority))
        return {"HTTPS_PROXY": f"http://127.0.0.1:{self._server.port}", "SSL_CERT_FILE": str(authority)}

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What the cloud was asked, logins included."""
        return self._server.requests

    def reset(self) -> None:
        """Be well again."""
        self.trouble.clear()
        self.valid_token = TOKEN
        self.logins = 0

    def hang(self) -> list[bytes]:
        """No answer until the end."""
        self._server.closing.wait(60)
        return []

    def _answer(self, request: ReceivedRequest) -> list[bytes]:
        path = request.path.partition("?")[0]
        if path.endswith("/appUserOrInstallerLogin"):
            return self._login(request)
        for word, answer in self.trouble.items():
            if word in path:
                return answer()
        if request.header("loginToken") != self.valid_token:
            return answer_json(None, code=401, message=f"token of {EMAIL} expired")
        return answer_json(_result(path, request))

    def _login(self, request: ReceivedRequest) -> list[bytes]:
        self.logins += 1
        form = parse_qs(request.body.decode())
        if form["account"] != [EMAIL]:
            return answer_json(None, code=401, message=f"{form['account'][0]} is unknown")
        # A token given at the first login can be declared expired by changing `valid_token`.
        token = TOKEN if self.logins == 1 else self.valid_token
        return answer_json({"token": token, "userId": 77, "email": EMAIL, "gatewayList": [{"id": SERIAL}]})


def answer_json(result: Any, *, code: int = 200, message: str = "Query success!") -> list[bytes]:
    """The cloud's way to say anything: status 200, and what became of it in `code`."""
    body = json.dumps({"code": code, "message": message, "success": code == 200, "result": result})
    return [reply(200, "application/json", body.encode())]


def server_error() -> list[bytes]:
    """The application's own failure, in JSON."""
    body = json.dumps({"code": 500, "message": f"internal error at {SERIAL}", "result": None})
    return [reply(500, "application/json", body.encode())]


def bad_gateway() -> list[bytes]:
    """What the content network in front of the cloud shows while the cloud is down."""
    return [reply(502, "text/html", f"<html><h1>502 {SERIAL}</h1></html>".encode())]


def expired() -> list[bytes]:
    """A token that no new login makes valid."""
    return answer_json(None, code=401, message=f"token of {EMAIL} expired")


class _Tunnel(LoopbackReceiver):
    """A proxy that knows one way: CONNECT, and then TLS as the host that was asked for."""

    def _serve(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                break
            head += byte
        if head.startswith(f"CONNECT {HOST}:443 ".encode()):
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            super()._serve(connection)
        else:
            connection.close()


def _result(path: str, request: ReceivedRequest) -> Any:
    """The answer of one endpoint; an empty one where nobody reads more of it."""
    endpoint = path.rpartition("/")[2]
    if endpoint == "sendMqtt":
        return {"dataArea": json.dumps({**_RUNTIME, "result": 0})}
    return {
        "getDeviceCompositeInfo": {
            "currentWorkMode": 2,
            "deviceStatus": 1,
            "valid": 1,
            "runtimeData": _RUNTIME,
            "solarHaveVo": {"offGridFlag": 0, "offGridReason": 0},
            "currentAlarmVOList": [],
        },
        "getGatewayTouListV2": {
            "currendId": 9323,
            "backupForeverFlag": 1,
            "nextWorkMode": 2,
            "tariffSettingFlag": False,
            "touSendStatus": 0,
            "stopMode": 0,
            "list": [
                {
                    "id": mode_id,
                    "workMode": mode,
                    "oldIndex": old,
                    "name": name,
                    "soc": RESERVE,
                    "editSocFlag": True,
                    "electricityType": 1,
                    "maxSoc": 100,
                    "minSoc": 5,
                }
                for mode, (name, mode_id, old) in MODES.items()
            ],
        },
        "getDeviceInfoV2": {"apowerList": [{"id": BATTERY, "ratedPwr": 5000, "rateBatCap": 13600}], "totalCap": 13.6},
        "saveTouDispatch": {"id": 4},
        "getStormSetting": {"enableStorm": 1},
        "selectTerPushMessageUnreadCount": 0,
        "getHomeGatewayList": [{"id": SERIAL, "sn": SERIAL, "name": "surprise", "status": 1, "account": EMAIL}],
        "getTouDispatchDetail": _TOU,
        "getFhpElectricData": {"dayTime": ["00:00"], "kwhLoadTotal": RESERVE},
        "getFhpPowerByDay": {"deviceTimeArray": ["00:00"], "powerSolarHomeArray": [1.5]},
        "selectIotGenerator": {"genEn": 0},
    }.get(endpoint, {})


_RUNTIME = {
    "mode": 9323,
    "name": "Self-Consumption",
    "run_status": 1,
    "report_type": 0,
    "p_sun": 2.5,
    "p_fhp": -1.0,
    "p_uti": 0.0,
    "p_load": 1.5,
    "soc": float(RESERVE),
    "main_sw": [1, 0, 1],
    "pro_load": [0, 0, 0],
    "fhpSn": [BATTERY],
    "fhpSoc": [RESERVE],
    "fhpPower": [-1000],
    "bms_work": [2],
    "connType": 3,
}
_TOU = {
    "template": {
        "id": 1,
        "name": "surprise",
        "workMode": 1,
        "electricCompany": "surprise",
        "eletricCompanyId": 7,
        "eleCompanyFullName": "surprise",
        "countryId": 2,
        "provinceId": 3,
        "countryEn": "US",
        "countryZh": "US",
    },
    "strategyList": [
        {
            "seasonName": "surprise",
            "month": "1,2,3,4,5,6,7,8,9,10,11,12",
            "dayTypeVoList": [
                {
                    "dayType": 3,
                    "dayName": "Every day",
                    "detailVoList": [
                        {
                            "name": "surprise",
                            "startHourTime": "00:00",
                            "endHourTime": "24:00",
                            "waveType": 0,
                            "dispatchId": 6,
                        }
                    ],
                }
            ],
        }
    ],
    "detailDefaultVo": {"touDispatchList": [{"id": 6, "dispatchCode": "D", "title": "surprise"}]},
}
