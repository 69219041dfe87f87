"""``POST /v1/realtime/client_secrets``: keys for pages, which their own server fetches for them.

A page must not hold the server's token. Its server asks with the token for a secret that is good for minutes, and may
settle the session's settings with it; the page connects with the secret as its API key. A secret opens WebSockets at
``/v1/realtime`` and nothing else, as often as wanted until it expires. Secrets live in this process's memory.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from duologue.backends.contract import Card
from duologue.protocol.refusal import Refused, from_validation
from duologue.protocol.settings import Settings
from duologue.protocol.wire import FreeObject, Wire
from duologue.server import errors

PREFIX = "ek_"
"""Browser SDKs refuse to connect with a key that begins otherwise."""

MOST = 1_000
"""Secrets that are good at one time."""

MOST_BYTES = 32 * 2**20
"""Of all their settings together."""

LONGEST_BODY = 2**20


class _ExpiresAfter(Wire):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


class _Asked(Wire):
    expires_after: _ExpiresAfter = _ExpiresAfter()
    session: FreeObject = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Secret:
    expires_at: float
    session: Mapping[str, Any]
    size: int


class TooMany(Exception):
    """No more secrets can be kept until some expire."""


class ClientSecrets:
    """The secrets of one server. ``now`` gives the time as seconds since 1970."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._secrets: dict[str, _Secret] = {}

    def issue(self, session: Mapping[str, Any], seconds: int, size: int) -> tuple[str, int]:
        """A new secret, and when it expires; ``size`` is what the settings take, in bytes. Raises :class:`TooMany`."""
        now = self._now()
        self._secrets = {value: secret for value, secret in self._secrets.items() if secret.expires_at > now}
        if len(self._secrets) >= MOST or size + sum(each.size for each in self._secrets.values()) > MOST_BYTES:
            raise TooMany
        value, expires_at = PREFIX + secrets.token_urlsafe(24), int(now) + seconds
        self._secrets[value] = _Secret(expires_at, session, size)
        return value, expires_at

    def settings(self, keys: list[str]) -> Mapping[str, Any] | None:
        """The settings that go with one of ``keys``; ``None``: none of them is a secret that is good."""
        for key in keys:
            secret = self._secrets.get(key)
            if secret is not None and secret.expires_at > self._now():
                return secret.session
        return None


def endpoint(issued: ClientSecrets, card: Card) -> Callable[[Request], Any]:
    """The route; whoever reaches it has shown the server's token."""

    async def client_secrets(request: Request) -> Response:
        body = b""
        async for data in request.stream():
            body += data
            if len(body) > LONGEST_BODY:
                message = f"a body of more than {LONGEST_BODY} bytes; send less"
                return errors.refusal(413, message, "body_too_large")
        try:
            asked = _asked(body)
            settings = Settings.initial(card.name, card.voices, asked.session)
            value, expires_at = issued.issue(asked.session, asked.expires_after.seconds, len(body))
        except Refused as refused:
            return errors.refusal(400, refused.message, refused.code, param=refused.param)
        except TooMany:
            message = "too many client secrets are good at the moment; try again when some have expired"
            return errors.refusal(429, message, "rate_limit_exceeded", kind="rate_limit_error")
        session = {"id": f"sess_{secrets.token_hex(10)}", "object": "realtime.session", **settings.to_wire()}
        return JSONResponse({"value": value, "expires_at": expires_at, "session": session})

    return client_secrets


def _asked(body: bytes) -> _Asked:
    try:
        given = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refused("invalid_json", f"The body is not valid JSON: {error}.") from error
    if not isinstance(given, dict):
        raise Refused("invalid_json", "The body is not a JSON object.")
    try:
        return _Asked.model_validate(given)
    except ValidationError as error:
        raise from_validation(error, given) from error
