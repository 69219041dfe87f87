"""Every refusal in OpenAI's shape: ``{"error": {message, type, code, param}}``, over HTTP and as an event."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

_CODES = {404: "not_found", 405: "method_not_allowed"}


def body(message: str, code: str, *, kind: str = "invalid_request_error", param: str | None = None) -> dict[str, Any]:
    """The JSON body of a refusal; ``param`` names what was wrong in the request."""
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def refusal(
    status: int,
    message: str,
    code: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An HTTP refusal; sent on a WebSocket that was not accepted yet, it denies the handshake."""
    return JSONResponse(body(message, code, kind=kind, param=param), status_code=status, headers=dict(headers or {}))


def event(message: str, code: str) -> dict[str, Any]:
    """An ``error`` event that is the server's doing, for sockets without a session to speak for them."""
    error = body(message, code, kind="server_error")["error"]
    error["event_id"] = None  # no event of the client's caused it
    return {"type": "error", "event_id": f"event_{secrets.token_hex(12)}", "error": error}


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own refusals (unknown path, wrong method)."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.scope['path']}: {error.detail}"
    code = _CODES.get(error.status_code, "invalid_request")
    return refusal(error.status_code, message, code, headers=error.headers)


async def on_crash(request: Request, error: Exception) -> JSONResponse:
    """What no handler foresaw; uvicorn logs the traceback."""
    return refusal(500, "the server failed on this request", "internal_error", kind="server_error")
