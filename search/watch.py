"""`branchpoint watch`: the live report of a study on a small server of this machine.

It serves the page around the report, the report itself and how far the study is, and nothing else.
On the loopback address it answers only to that name, so that no web page of elsewhere can read it
(DNS rebinding). Bound to another address it asks for a token, which is in the address that it
prints, and afterwards in a cookie.
"""

import hmac
import json
import secrets
import sys
from collections.abc import Callable
from dataclasses import asdict
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from ipaddress import ip_address
from socket import gethostname
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mtl_core.errors import ConfigError
from search.live_report import LiveReport

COOKIE = "branchpoint"
TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; frame-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
OF_REPORT = "frame-ancestors 'self'"  # the rest is in the report itself
EVERYWHERE = ("0.0.0.0", "::")
STATIC = ("watch.html", "watch.css", "watch.js")


class Watch:
    """The server; `serve` blocks until `close` is called from another thread.

    Args:
        host: The address to listen on.
        port: 0: any that is free.

    Raises:
        ConfigError: The address is none of this machine, or the port is taken.
    """

    def __init__(self, live: LiveReport, host: str = "127.0.0.1", port: int = 0) -> None:
        self.token = None if _is_loopback(host) else secrets.token_urlsafe(24)
        try:
            self._server = _Server((host, port), live, self.token)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"--host {host} --port {port}: cannot listen there: {reason}; an address of this "
                "machine and a free port would be right, or no --port for any that is free"
            ) from None

    @property
    def address(self) -> str:
        """What to open in a browser: of this machine's addresses its name, if it has them all."""
        host, port = self._server.server_address[:2]
        if host in EVERYWHERE:
            host = gethostname()
        query = "" if self.token is None else f"?token={self.token}"
        return f"http://{host!s}:{port}/{query}"

    def serve(self) -> None:
        self._server.serve_forever()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], live: LiveReport, token: str | None) -> None:
        self.live, self.token = live, token
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of browsers that leave in the middle of an answer; of all else as before."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _Handler(BaseHTTPRequestHandler):
    """Answers requests, one each."""

    server: _Server
    server_version, sys_version = "branchpoint", ""
    timeout = 30  # seconds for one that says nothing

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not self._is_allowed(url.query):
            self._answer(403, "text/plain", b"not for you: the address with its token is\n")
        elif self.server.token is not None and "token=" in url.query:
            self._set_cookie(self.server.token)
        elif (made := _PAGES.get(url.path)) is not None:
            self._try(lambda: made(self.server.live))
        else:
            self._answer(404, "text/plain", b"nothing is here\n")

    def _is_allowed(self, query: str) -> bool:
        token = self.server.token
        if token is None:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            return _is_loopback(host)
        given = parse_qs(query).get("token", [self._cookie()])[0]
        return hmac.compare_digest(given.encode(), token.encode())

    def _cookie(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return found.value if found else ""

    def _set_cookie(self, value: str) -> None:
        """Have the token in a cookie and out of the address."""
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Set-Cookie", f"{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()

    def _try(self, make: Callable[[], tuple[str, str, str]]) -> None:
        try:
            kind, policy, text = make()
        except ConfigError as error:
            self._answer(503, "text/plain", f"{error}\n".encode())
        else:
            self._answer(200, TYPES[kind], text.encode(), policy)

    def _answer(self, status: int, kind: str, body: bytes, policy: str = POLICY) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of requests, whose addresses may hold the token."""


def _static(name: str) -> Callable[[LiveReport], tuple[str, str, str]]:
    text = files("search").joinpath("watch_page", name).read_text(encoding="utf-8")
    return lambda _: (name.rpartition(".")[2], POLICY, text)


_PAGES: dict[str, Callable[[LiveReport], tuple[str, str, str]]] = {
    "/": _static("watch.html"),
    **{f"/{name}": _static(name) for name in STATIC[1:]},
    "/state.json": lambda live: ("json", POLICY, json.dumps(asdict(live.state()))),
    "/report.html": lambda live: ("html", OF_REPORT, live.page()),
}
