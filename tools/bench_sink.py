"""
A backend that takes everything, as a process of its own: it counts the spans or events that come in and keeps none.

`bench_sink.py` prints its port and serves until its standard input ends. `GET /` answers how many have arrived.
"""

from __future__ import annotations

import gzip
import socketserver
import sys
import threading
import urllib.request
from typing import cast

MARKS = {b"/batch": b'"distinct_id"', b"/v1/traces": b'"franklinwh.command"'}
"""What occurs once in each event, or in each span as OTLP/JSON."""

ANSWERS = {b"/batch": b'{"status":"Ok"}'}


class Sink(socketserver.ThreadingTCPServer):
    """Each connection has a thread; the counts are of all."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.lock = threading.Lock()
        self.arrived = 0


class Connection(socketserver.StreamRequestHandler):
    """One connection, kept alive for as long as its client wants."""

    def handle(self) -> None:
        """Answer request after request."""
        sink = cast("Sink", self.server)
        while words := self.rfile.readline().split():
            length, is_gzip = 0, False
            while line := self.rfile.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                elif name.lower() == b"content-encoding":
                    is_gzip = value.strip() == b"gzip"
            path = words[1].partition(b"?")[0].rstrip(b"/")
            body = self.rfile.read(length)
            body = gzip.decompress(body) if is_gzip else body
            if mark := MARKS.get(path):
                with sink.lock:
                    sink.arrived += body.count(mark)
            answer = b"%d" % sink.arrived if words[0] == b"GET" else ANSWERS.get(path, b"{}")
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
            self.wfile.write(head + answer)


def arrived(url: str) -> int:
    """Ask a sink how many have arrived."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - a sink's own URL
        return int(answer.read())


def main() -> None:
    """Serve until the one who started this ends, or closes the pipe."""
    with Sink() as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        print(sink.server_address[1], flush=True)
        sys.stdin.read()
        sink.shutdown()


if __name__ == "__main__":
    main()
