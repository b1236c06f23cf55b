"""The only way out: one request at a time, its bytes known beforehand, journalled first, answered within a deadline."""

from __future__ import annotations

import threading
import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ReadTimeoutError

from franklinwh_telemetry.address import is_loopback
from franklinwh_telemetry.sender.answer import MAX_ANSWER_BYTES, Answer, media_type, parse_retry_after
from franklinwh_telemetry.sender.connection import GuardedAdapter
from franklinwh_telemetry.sender.exchange import Captured, Exchange, Line, Stop, WireError
from franklinwh_telemetry.sender.request import (
    DEFAULT_PORTS,
    USER_AGENT,
    certificate_authorities,
    host_of,
    netloc,
    proxy_for,
    request_bytes,
    url_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from franklinwh_telemetry.destination import Destination
    from franklinwh_telemetry.sender.journal import Journal


class Wire:
    """
    One `requests` session to one destination.

    *may_send* is asked right before each write; *deadline_s* covers a whole request: name, connection, TLS,
    headers and body. Not more than one thread at a time gets through `post`.
    """

    def __init__(
        self,
        destination: Destination,
        journal: Journal | None,
        *,
        deadline_s: float = 10.0,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self.destination = destination
        self.deadline_s = deadline_s
        self._journal = journal
        self._may_send = may_send
        self._lock = threading.Lock()
        self._line = Line(capture=False)
        self._session = _bare_session(self._line)

    def post(self, url: str, body: bytes, content_type: str) -> Answer:
        """Send *body* to *url*, which must lie at the destination; total: whatever happens is in the `Answer`."""
        refusal = self._refusal(url)
        if refusal is not None:
            return Answer(error=refusal)
        with self._lock:
            return self._exchange(url, body, content_type)

    def sdk_session(self) -> SdkSession:
        """A session for the stock OTLP exporter; whatever it sends goes through `post`."""
        return SdkSession(self)

    def close(self) -> None:
        """Close what is open."""
        self._session.close()

    def _refusal(self, url: str) -> WireError | None:
        there, here = urlsplit(self.destination.url), urlsplit(url)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc) or here.scheme not in DEFAULT_PORTS:
            return WireError.FOREIGN_URL
        if here.scheme == "http" and not is_loopback(host_of(url)) and not self.destination.allow_http:
            return WireError.PLAIN_HTTP
        return None

    def _exchange(self, url: str, body: bytes, content_type: str) -> Answer:
        prepared = self._prepare(url, body, content_type)
        proxy = proxy_for(url)
        if proxy is not None and urlsplit(proxy).scheme not in DEFAULT_PORTS:
            return Answer(error=WireError.PROXY)
        authorization = self._proxy_authorization(proxy)
        kept = request_bytes(prepared, body, forwarded=proxy is not None)
        entry: list[object] = []
        exchange = Exchange(
            request_bytes(prepared, body, forwarded=proxy is not None, authorization=authorization),
            deadline_s=self.deadline_s,
            before_write=lambda: entry.append(self._before_write(prepared, kept)),
            proxy_authorization=authorization,
            via_proxy=proxy is not None,
            loopback_only=urlsplit(url).scheme == "http" and not self.destination.allow_http,
        )
        self._line.exchange = exchange
        timer = threading.Timer(self.deadline_s, self._line.cut, (exchange,))
        timer.daemon = True
        timer.start()
        try:
            answer = self._ask(prepared, proxy, exchange)
        finally:
            timer.cancel()
            timer.join()
            self._line.end()
        if entry and self._journal is not None:
            self._journal.answered(entry[0], answer.status, answer.error.value if answer.error else None)
        return answer

    def _prepare(self, url: str, body: bytes, content_type: str) -> requests.PreparedRequest:
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Accept-Encoding": "identity",
        }
        return self._session.prepare_request(requests.Request("POST", url, headers=headers, data=body))

    def _proxy_authorization(self, proxy: str | None) -> str | None:
        if proxy is None:
            return None
        header = self._session.get_adapter("https://").proxy_headers(proxy).get("Proxy-Authorization")  # type: ignore[attr-defined]
        return None if header is None else str(header)

    def _before_write(self, prepared: requests.PreparedRequest, request: bytes) -> object:
        """The last look: is it still wanted, and is it written down. The proxy's password is not."""
        if not self._may_send():
            raise Stop(WireError.WITHDRAWN)
        if self._journal is None:
            raise Stop(WireError.JOURNAL)
        try:
            return self._journal.write(request, host=netloc(prepared), line=f"POST {prepared.path_url}")
        except OSError:
            raise Stop(WireError.JOURNAL) from None

    def _ask(self, prepared: requests.PreparedRequest, proxy: str | None, exchange: Exchange) -> Answer:
        verify = certificate_authorities()
        if verify is None:
            return Answer(error=WireError.TLS_NOT_VERIFIED)
        try:
            response = self._session.send(
                prepared,
                stream=True,
                allow_redirects=False,
                proxies={} if proxy is None else {"http": proxy, "https": proxy},
                verify=verify,
                timeout=self.deadline_s,
            )
        except Captured:
            raise
        except Exception as error:  # noqa: BLE001 - total: a sender must never die of what a peer does
            return Answer(error=_reason(error, exchange))
        try:
            body, broken = _read(response, exchange)
        finally:
            response.close()
        return Answer(
            status=response.status_code,
            content_type=media_type(response.headers.get("Content-Type", "")),
            body=body,
            retry_after_s=parse_retry_after(response.headers.get("Retry-After", ""), time.time()),
            error=broken,
        )


class CapturingWire(Wire):
    """
    A wire with no socket: each request is taken down to the bytes that would be written, and kept in `requests`.

    The answer is the one in *answers* for the end of the URL's path, else 200 with no body.
    """

    def __init__(self, destination: Destination, answers: dict[str, Answer]) -> None:
        super().__init__(destination, None)
        self._line = Line(capture=True)
        self._session = _bare_session(self._line)
        self._answers = answers
        self.requests: list[bytes] = []

    def _before_write(self, _prepared: requests.PreparedRequest, request: bytes) -> object:
        self.requests.append(request)
        return None

    def _ask(self, prepared: requests.PreparedRequest, proxy: str | None, exchange: Exchange) -> Answer:
        try:
            return super()._ask(prepared, proxy, exchange)
        except Captured:
            return self._answers[urlsplit(url_of(prepared)).path.rstrip("/").rpartition("/")[2]]


class SdkSession(requests.Session):
    """
    What the stock OTLP exporter takes for a session: it sees a bland 200 and so never retries, waits or logs.

    The real answer waits in `take_answer`.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.trust_env = False
        self._wire = wire
        self._answer: Answer | None = None

    def take_answer(self) -> Answer | None:
        """The answer to the last request, once; None where the exporter has made none since."""
        answer, self._answer = self._answer, None
        return answer

    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> requests.Response:
        """Hand url and body to the wire; every header that the SDK or the environment added stays behind."""
        body, url = request.body, url_of(request)
        if not isinstance(body, bytes):
            self._answer = Answer(error=WireError.HEADERS)
        else:
            self._answer = self._wire.post(url, body, "application/x-protobuf")
        response = requests.Response()
        response.status_code = 200
        response.reason = "OK"
        response._content = b""  # noqa: SLF001 - as tests of requests do; nothing is left to read
        response.request = request
        response.url = url
        return response


def _bare_session(line: Line) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = GuardedAdapter(line)
    for scheme in tuple(session.adapters):
        session.mount(scheme, adapter)
    return session


def _read(response: requests.Response, exchange: Exchange) -> tuple[bytes, WireError | None]:
    """At most 64 KiB of the body; the connection of a longer one is given up."""
    body = b""
    # urllib3 1.26 takes a body that is shorter than announced for a whole one unless told not to.
    response.raw.enforce_content_length = True
    try:
        while len(body) <= MAX_ANSWER_BYTES:
            part = response.raw.read(MAX_ANSWER_BYTES + 1 - len(body), decode_content=False)
            if not part:
                return body, WireError.TIMED_OUT if exchange.timed_out else None
            body += part
    except Exception as error:  # noqa: BLE001 - as in `_ask`
        return body[:MAX_ANSWER_BYTES], _reason(error, exchange)
    return body[:MAX_ANSWER_BYTES], WireError.ANSWER_TOO_LARGE


def _reason(error: Exception, exchange: Exchange) -> WireError:
    if isinstance(error, Stop):
        return error.error
    if exchange.timed_out or isinstance(error, (requests.Timeout, ReadTimeoutError, TimeoutError)):
        return WireError.TIMED_OUT
    if isinstance(error, requests.exceptions.ProxyError):
        return WireError.PROXY
    if isinstance(error, requests.exceptions.SSLError):
        return WireError.TLS_NOT_VERIFIED
    return WireError.CONNECTION_BROKEN
