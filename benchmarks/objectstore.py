"""A server of S3 in a process of its own, and a proxy in front of it that fails when it is told to.

The server is moto's, from the extra `s3`.
"""

import contextlib
import http.client
import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

BUCKET = "bucket"
Plan = Callable[[str, str, int], str]
"""(method, path, number of the request) to "ok", an HTTP status such as "500", "slow", "reset" (before the server has
seen the request), "lost" (after it has answered) or "deaf" (the server does not see conditions)."""


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's server and yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    # What the library's tests put in front of the path is not for the server.
    environ = {**os.environ, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    try:
        for _ in range(300):
            try:
                _request(port, "PUT", f"/{BUCKET}")
                break
            except OSError:
                if process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _request(port: int, method: str, path: str, body: bytes | None = None, headers=None) -> tuple[int, list, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


class Proxy:
    """Passes requests on to a server, or does to them what a plan says; ``faults`` counts what it did.

    Args:
        address: The server.
        slow: Seconds that a slow answer takes.
    """

    def __init__(self, address: str, slow: float = 0.2):
        self.plan: Plan = lambda method, path, number: "ok"
        self.faults: dict[str, int] = {}
        self.requests: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        proxy, port = self, int(address.rpartition(":")[2])

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                what = proxy._next(self.command, self.path)
                if what == "slow":
                    time.sleep(slow)
                if what == "reset":
                    return self.reset()
                if what.isdigit():
                    return self.reply(int(what), [], b"")
                unseen = ("connection", "if-none-match", "if-match") if what == "deaf" else ("connection",)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in unseen}
                status, found, content = _request(port, self.command, self.path, body, headers)
                if what == "lost":
                    return self.reset()
                return self.reply(status, found, content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

            def reply(self, status: int, headers: list, content: bytes) -> None:
                self.send_response_only(status)
                hops = ("connection", "transfer-encoding", "content-length", "keep-alive")
                for name, value in headers:
                    if name.lower() not in hops:
                        self.send_header(name, value)
                length = dict(headers).get("Content-Length", len(content)) if self.command == "HEAD" else len(content)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def reset(self) -> None:
                """End the connection as a machine that lost its power does: no farewell, an answer of RST."""
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address) -> None:
                pass  # the client went away, as it should in these tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _next(self, method: str, path: str) -> str:
        with self._lock:
            self.requests.append((method, path))
            what = self.plan(method, path, len(self.requests) - 1)
            if what != "ok":
                self.faults[what] = self.faults.get(what, 0) + 1
            return what

    def environment(self) -> dict[str, str]:
        """The variables by which the store is found here."""
        return {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": self.address}

    def stop(self) -> None:
        """End the proxy."""
        self._server.shutdown()
        self._server.server_close()
