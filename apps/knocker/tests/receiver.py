"""A receiver for the emulator's tests: a plain HTTP server on this machine that asks Knocker, and may do it wrongly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import knocker

Answer = Callable[["Received"], int]


class Received:
    """One request as it came in, and the inbox that it may be put into."""

    def __init__(
        self, webhooks: knocker.Knocker, path: str, headers: dict[str, str], body: bytes, count: int
    ) -> None:
        self.webhooks = webhooks
        self.path, _, self.query = path.partition("?")
        self.headers, self.body = headers, body
        self.count = count  # how many came before
        self.endpoint = self.path.rsplit("/", 1)[-1]

    def receive(self, endpoint: str | None = None) -> int:
        """What every application does with it."""
        return self.webhooks.receive(
            endpoint=endpoint or self.endpoint, body=self.body, headers=self.headers, query=self.query
        ).status_code


class Receiver(ThreadingHTTPServer):
    """Answers what `answer` says of each request, and keeps them all."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, database: Path, answer: Answer) -> None:
        self.database = database
        self.webhooks = knocker.open(str(database))
        self.answer = answer
        self.seen: list[Received] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, endpoint: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/webhooks/{endpoint}"

    def add(self, provider: str, secret: str | None, endpoint: str | None = None, **more: Any) -> str:
        """Registers an endpoint and gives its URL."""
        name = endpoint or provider
        self.webhooks.add_endpoint(
            name=name,
            path=f"/webhooks/{name}",
            provider=provider,
            secrets=[secret] if secret else None,
            **more,
        )
        return self.url(name)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            got = Received(
                self.server.webhooks, self.path, dict(self.headers.items()), body, len(self.server.seen)
            )
            self.server.seen.append(got)
        self.send_response(self.server.answer(got))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def receiver(database: Path, answer: Answer = Received.receive) -> Iterator[Receiver]:
    with Receiver(database, answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.webhooks.close()
