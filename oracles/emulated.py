"""What `knocker emulate` sends, word for word: a server on this machine records it. Knows no SDK and judges nothing."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
KNOCKER = Path(os.environ.get("KNOCKER_BUILD", HERE.parent / "build")) / "knocker"


class Sent(NamedTuple):
    """One request as it came in."""

    method: str
    target: str  # path and query
    headers: dict[str, str]
    body: bytes


class Recorder(ThreadingHTTPServer):
    """Keeps all that comes, and answers everything with the one status."""

    daemon_threads = True

    def __init__(self, status: int) -> None:
        self.status = status
        self.seen: list[Sent] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Sent(self.command, self.path, headers, body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def recorder(status: int) -> Iterator[Recorder]:
    with Recorder(status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def emulate(provider: str, secret: str, target: str, flags: list[str], status: int) -> tuple[str, list[Sent]]:
    """The URL that was called, and what came there. The emulator must find the one status right for all of it."""
    with recorder(status) as server:
        url = server.origin() + target
        done = subprocess.run(
            [KNOCKER, "emulate", provider, "--to", url, "--secret-env", "ORACLE_SECRET", "--json", *flags],
            env={**os.environ, "ORACLE_SECRET": secret, "no_proxy": "127.0.0.1"},
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"oracle: knocker emulate {provider} failed: {done.stdout}{done.stderr}")
        if json.loads(done.stdout)["sent"] != len(server.seen):
            raise SystemExit(f"oracle: knocker emulate {provider} sent another number than arrived: {done.stdout}")
        return url, server.seen
