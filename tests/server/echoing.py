"""``duologue`` with an echo in place of the model: what signals do to a process is tested on this."""

from __future__ import annotations

from duologue import backends, cli
from duologue.server import sessions
from server.conftest import Echo, EchoBackend

backends.load = lambda name, **options: EchoBackend()
sessions.opener = lambda options, backend, metrics: lambda wake, initial: Echo(set(), wake, metrics)

cli.main(prog_name="duologue")
