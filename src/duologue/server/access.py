"""Who may come in.

Three questions, in this order, to every request and WebSocket handshake:

* **Host**: a server on loopback without a token answers only to loopback's names. Otherwise a web page
  could give its own domain the address 127.0.0.1 after it was loaded (DNS rebinding), and the browser
  would take the server for the page's own.
* **Origin**: browsers say which page is asking. Loopback's pages, the server's own page and those that
  the operator named may; programs other than browsers send none, and may.
* **Token**: on every route but the page, its files and ``/healthz``. It is an API key, so it is read where
  OpenAI's clients put it: the ``Authorization`` header, or a WebSocket subprotocol. Not in the URL, where
  logs and histories would keep it, except at ``/api/chat``: Moshi's clients send nothing but a URL. For a
  WebSocket at ``/v1/realtime`` a client secret does as well.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from duologue.server.client_secrets import ClientSecrets
from duologue.server.errors import refusal
from duologue.server.options import ServerOptions, is_loopback

KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""A browser cannot set a WebSocket's headers: OpenAI's clients offer the key as a subprotocol instead."""

CHAT = "/api/chat"
"""Where Moshi's own protocol is spoken."""

REALTIME = "/v1/realtime"
"""Where sessions are."""

_OPEN = ("/", "/healthz", "/favicon.ico")
_OPEN_FOLDER = "/static/"
_PORTS = {"http": 80, "https": 443}


class Access:
    """The rules of one server, made from its options."""

    def __init__(self, options: ServerOptions, issued: ClientSecrets) -> None:
        self._issued = issued
        self._token = None if options.token is None else options.token.encode()
        self._origins = frozenset(options.allow_origins)
        self._check_host = options.token is None
        self._hosts = frozenset(urlsplit(origin).hostname for origin in self._origins)

    def judge(self, scope: Scope) -> JSONResponse | None:
        """The refusal a request deserves; ``None``: it may come in."""
        headers = Headers(scope=scope)
        host = headers.get("host")
        if self._check_host and host is not None and not self._own_name(host):
            return refusal(
                403,
                f"this server listens on this machine only and does not answer to the name {host!r}; "
                "start it with a token, or name the page's origin with --allow-origin",
                "host_not_allowed",
            )
        if _is_open(scope["path"]):
            return None
        origin = headers.get("origin")
        if origin is not None and not self.allows(origin, host):
            return refusal(
                403,
                f"pages from {origin!r} may not use this server; the operator can allow them with --allow-origin",
                "origin_not_allowed",
            )
        if self._token is not None and not self._knows(headers, scope):
            return refusal(
                401,
                "a missing or wrong API key; send the server's token as 'Authorization: Bearer TOKEN'",
                "invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def allows(self, origin: str, host: str | None = None) -> bool:
        """Whether pages of ``origin`` may use the server that they reached as ``host``."""
        if "*" in self._origins or origin.lower() in self._origins:
            return True
        name, port = _name_and_port(origin)
        if name is None:  # "null": a sandboxed frame or a file, which may be anybody's
            return False
        if is_loopback(name):
            return True
        scheme = urlsplit(origin).scheme
        return host is not None and _name_and_port(f"{scheme}://{host}") == (name, port)

    def _own_name(self, host: str) -> bool:
        name, _ = _name_and_port(f"http://{host}")
        return name is not None and (is_loopback(name) or name in self._hosts or "*" in self._origins)

    def _knows(self, headers: Headers, scope: Scope) -> bool:
        assert self._token is not None
        offered = offered_keys(headers, scope)
        # As bytes: compare_digest takes text only if it is ASCII.
        if any(hmac.compare_digest(key.encode(), self._token) for key in offered):
            return True
        realtime = scope["type"] == "websocket" and scope["path"] == REALTIME
        return realtime and self._issued.settings(offered) is not None


def offered_keys(headers: Headers, scope: Scope) -> list[str]:
    """The API keys that a request shows."""
    offered = []
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        offered.append(credentials.strip())
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(KEY_SUBPROTOCOL):
            offered.append(protocol.removeprefix(KEY_SUBPROTOCOL))
    if scope["path"] == CHAT:
        offered += parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
    return offered


class Gate:
    """The rules as middleware, over HTTP and WebSocket alike."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            refused = self._access.judge(scope)
            if refused is not None:
                return await refused(scope, receive, send)
        await self._app(scope, receive, send)


class CrossOrigin(CORSMiddleware):
    """What lets allowed pages of other origins read the answers (the browser enforces the rest)."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        super().__init__(app, allow_methods=("GET", "POST"), allow_headers=("*",), expose_headers=("Location",))
        self._access = access

    def is_allowed_origin(self, origin: str) -> bool:
        return self._access.allows(origin)


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_OPEN_FOLDER)


def _name_and_port(url: str) -> tuple[str | None, int | None]:
    """Host name and port of an origin, the port that the scheme implies where it names none."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # a port that is no number, half a bracket: nobody's origin
        return None, None
