"""
Asking a service's API for a maintainer: one bearer token, one host, and one clear line for whatever goes wrong.
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, final

import requests
from requests.auth import AuthBase

from franklinwh_telemetry.address import BadDestination, is_loopback, split_url
from franklinwh_telemetry.plain import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

USER_AGENT: Final = "franklinwh-telemetry"
CONNECT_TIMEOUT_S: Final = 10.0
SILENCE_TIMEOUT_S: Final = 60.0
DEADLINE_S: Final = 300.0
"""For one whole answer, however slowly it drips."""

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
MAX_DETAIL_CHARACTERS: Final = 300

_PART_BYTES: Final = 64 * 1024
_OK: Final = range(200, 300)
_ELSEWHERE: Final = range(300, 400)
_TOO_MANY: Final = 429
_FAULTY: Final = range(500, 600)
_VISIBLE: Final = range(0x21, 0x7F)


@final
class RemoteError(Exception):
    """What went wrong, in one line that names no key."""


@final
class _Bearer(AuthBase):
    """Sets the header by itself: a session that is given no `auth` takes the one of `.netrc`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@final
class Remote:
    """
    A service at *base*, asked with *token*; nothing is asked twice, and no redirect is followed.

    *explain* turns a refusal (its status, and the object in its body) into what is wrong and how to mend it. Proxies
    and certificate authorities are those of the environment, but this machine is never behind a proxy.
    """

    def __init__(
        self,
        service: str,
        base: str,
        token: str,
        explain: Callable[[int, Mapping[str, Any]], str | None],
    ) -> None:
        self.base = base
        self._service = service
        self._token = token
        self._explain = explain
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        self._session.headers["User-Agent"] = USER_AGENT
        self._session.trust_env = base.startswith("https:")

    def ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """The JSON that answers; raises `RemoteError`."""
        with self._send(method, path, query, body, "application/json") as response:
            return self._json(b"".join(self._parts(response)))

    def lines(self, path: str, query: Sequence[tuple[str, str]], media_type: str) -> Iterator[bytes]:
        """
        The lines of an answer of *media_type*, as they come in, empty ones left out; raises `RemoteError`.

        A line longer than 64 KiB is given as an empty one: it is no line of such an answer.
        """
        with self._send("GET", path, query, None, media_type) as response:
            given = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if given != media_type:
                raise RemoteError(f"{self._service} answered with {self._shown(given) or 'no type'}, not {media_type}")
            rest, skipping = b"", False
            for part in self._parts(response):
                *whole, rest = (rest + part).split(b"\n")
                for line in whole:
                    if not skipping and line.strip():
                        yield line if len(line) <= MAX_LINE_BYTES else b""
                    skipping = False
                if len(rest) > MAX_LINE_BYTES:
                    if not skipping:
                        yield b""
                    rest, skipping = b"", True
            if rest.strip() and not skipping:
                yield rest

    def _send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Mapping[str, Any] | None,
        media_type: str,
    ) -> requests.Response:
        try:
            response = self._session.request(
                method,
                self.base + path,
                params=list(query),
                json=body,
                headers={"Accept": media_type},
                allow_redirects=False,
                stream=True,
                timeout=(CONNECT_TIMEOUT_S, SILENCE_TIMEOUT_S),
            )
        except requests.RequestException as error:
            raise RemoteError(f"{self._service} at {self.base} cannot be reached: {_reason(error)}") from None
        if response.status_code not in _OK:
            with response:
                raise RemoteError(self._refusal(response))
        return response

    def _parts(self, response: requests.Response) -> Iterator[bytes]:
        """The body, bounded in bytes and in time."""
        deadline_s, received = time.monotonic() + DEADLINE_S, 0
        try:
            for part in response.iter_content(_PART_BYTES):
                received += len(part)
                if received > MAX_ANSWER_BYTES:
                    raise RemoteError(f"{self._service} answered with more than {MAX_ANSWER_BYTES >> 20} MiB")
                if time.monotonic() > deadline_s:
                    raise RemoteError(f"{self._service} did not finish its answer in {DEADLINE_S:.0f} s; try again")
                yield part
        except requests.RequestException as error:
            raise RemoteError(f"the answer of {self._service} broke off: {_reason(error)}; try again") from None

    def _json(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise RemoteError(
                f"what answers at {self.base} is not {self._service}: its answer is no JSON; look at the address"
            ) from None

    def _refusal(self, response: requests.Response) -> str:
        status = response.status_code
        if status in _ELSEWHERE:
            return f"{self.base} sends elsewhere ({status}), which is not followed: give the address of {self._service}"
        if status == _TOO_MANY:
            return f"{self._service} was asked too much (429){_wait(response.headers.get('Retry-After', ''))}"
        if status in _FAULTY:
            wait = _wait(response.headers.get("Retry-After", ""))
            return f"{self._service} has a fault of its own ({status}){wait or '; try again later'}"
        fields = self._fields(response)
        said = next((text for name in ("detail", "message") if isinstance(text := fields.get(name), str) and text), "")
        meant = self._explain(status, fields)
        parts = [f"{self._service} refused ({status})", self._shown(said.rstrip(".")), meant or ""]
        return ": ".join(filter(None, parts))

    def _fields(self, response: requests.Response) -> Mapping[str, Any]:
        said = b""
        try:
            for part in self._parts(response):
                said += part
                if len(said) > _PART_BYTES:
                    return {}
            found = json.loads(said)
        except (ValueError, RecursionError, RemoteError):
            return {}
        return found if isinstance(found, dict) else {}

    def _shown(self, text: str) -> str:
        """What the other side says, fit for a line: short, printable, and without the key if it repeats that."""
        kept = text.replace(self._token, "[the key]")[: MAX_DETAIL_CHARACTERS + 1]
        return printable(kept if len(kept) <= MAX_DETAIL_CHARACTERS else f"{kept[:MAX_DETAIL_CHARACTERS]}...")


def parse_base(text: str) -> str | BadDestination:
    """The base URL that *text* names: https, or plain http to this machine alone, as a key travels with it."""
    split = split_url(text)
    if isinstance(split, BadDestination):
        return split
    scheme, host, port, path = split
    if scheme == "http" and not is_loopback(host):
        return BadDestination("a key is sent to https:// only; http:// is for this machine")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{'' if port is None else f':{port}'}{path.rstrip('/')}"


def read_token(environ: Mapping[str, str], name: str) -> str | None:
    """
    The token in the variable *name*, None where there is none.

    Raises `RemoteError` for one that no header can carry; what it holds is not told.
    """
    token = environ.get(name, "").strip()
    if any(ord(character) not in _VISIBLE for character in token):
        raise RemoteError(f"{name} holds a space or something other than ASCII; it must hold the key alone")
    return token or None


def _reason(error: requests.RequestException) -> str:
    """What kind of failure it was; the texts of the libraries are long and name addresses."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate cannot be verified (REQUESTS_CA_BUNDLE names others to trust)"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy that HTTPS_PROXY names does not let it through"
    if isinstance(error, requests.Timeout):
        return f"no answer within {SILENCE_TIMEOUT_S:.0f} s"
    if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        return "no connection, or it was closed before the end"
    return type(error).__name__


def _wait(retry_after: str) -> str:
    """How long to wait, if the answer says so in one of the two ways that there are."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return f": try again in {int(text[:9])} s"
    try:
        return f": try again after {parsedate_to_datetime(text):%Y-%m-%d %H:%M:%S} UTC"
    except (TypeError, ValueError):
        return ""
