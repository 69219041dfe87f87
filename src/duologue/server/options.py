"""How a server is set up. What cannot work, or should not, is refused here, before anything starts."""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from duologue.backends.contract import Strictness

# Characters of an HTTP token (RFC 9110, 5.6.2). A browser can only send the key inside a WebSocket
# subprotocol, and refuses to connect if the subprotocol holds anything else.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,512}")


class OptionError(ValueError):
    """The options cannot be served; the message names the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Everything ``duologue serve`` can be told about serving.

    Raises :class:`OptionError` for values that contradict each other or are unsafe.
    """

    host: str = "127.0.0.1"
    port: int = 8790
    """0: any free port."""
    sessions: int = 16
    """How many may talk at once."""
    token: str | None = None
    """What clients must present as their API key; ``None``: nothing, on loopback only."""
    allow_origins: tuple[str, ...] = ()
    """Web pages that may use this server beside its own and those on loopback; ``*`` is all of them."""
    ssl_cert: Path | None = None
    ssl_key: Path | None = None
    lead_ms: int | None = 120
    """How far ahead of real time a reply's audio is sent; ``None``: as fast as it is made."""
    strictness: Strictness = "normal"
    """How sure the model must be that words are meant for it, where a client does not say."""
    history: bool = False
    """Whether a model that was trained on single turns shall know of earlier ones, where a client does not say."""
    speculate: bool = True
    """Whether replies are begun at the first pause of a turn, where a client does not say."""
    drain_seconds: float = 30.0
    """How long running replies may take to end once the server was told to stop."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise OptionError(f"port {self.port} does not exist; choose 1 to 65535 (0: any free one)")
        if self.sessions < 1:
            raise OptionError(f"{self.sessions} sessions would serve nobody; give 1 or more")
        if self.drain_seconds < 0:
            raise OptionError(f"replies cannot take {self.drain_seconds:g} s to end; give 0 or more")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise OptionError(
                "the token must be 1 to 512 characters out of letters, digits and !#$%&'*+.^_`|~- "
                "(browsers can send no others); make one with: openssl rand -hex 32"
            )
        if self.token is None and not is_loopback(self.host):
            raise OptionError(
                f"{self.host or 'every address'} can be reached from other machines, and without a token "
                "anybody there could use this server; give --token (or DUOLOGUE_TOKEN), or keep to "
                "--host 127.0.0.1"
            )
        object.__setattr__(self, "allow_origins", tuple(_origin(each) for each in self.allow_origins))
        self._check_certificate()

    def _check_certificate(self) -> None:
        if (self.ssl_cert is None) != (self.ssl_key is None):
            raise OptionError("TLS needs both --ssl-cert and --ssl-key")
        if self.ssl_cert is None or self.ssl_key is None:
            return
        for path in (self.ssl_cert, self.ssl_key):
            if not path.is_file():
                raise OptionError(f"{path}: no such file; --ssl-cert and --ssl-key take PEM files")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.ssl_cert, self.ssl_key)
        except (ssl.SSLError, OSError) as error:
            raise OptionError(
                f"{self.ssl_cert} and {self.ssl_key} are not a certificate and its key in PEM ({error})"
            ) from error


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address, no port) can only mean this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:  # a name; what it resolves to may change while the server runs
        return False


def _origin(text: str) -> str:
    """``text`` as browsers write an origin, or an error."""
    if text == "*":
        return text
    parts = urlsplit(text.strip().rstrip("/").lower())
    try:
        sound = parts.port is None or parts.port > 0
    except ValueError:
        sound = False
    if not sound or not parts.scheme or not parts.hostname or parts.path or parts.query or parts.username:
        raise OptionError(
            f"{text!r} is no origin; write scheme, host and port as the browser does, "
            "for example https://talk.example.org or http://192.168.1.5:3000, or * for all"
        )
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, default) else f":{parts.port}")
