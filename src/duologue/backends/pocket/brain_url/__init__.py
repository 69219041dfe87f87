"""A brain at some other address: any OpenAI-compatible chat endpoint thinks, pocket's ear and mouth hear and speak.

address     where it is, and how it may be used
messages    the conversation as such endpoints want it
stream      what they send back: server-sent events, text, calls
endpoint    the requests
english     are these words finished? Without skills, the language alone must tell
mind        the session's brain that is made of all this

``docs/brains.md`` is about using it.
"""

from __future__ import annotations

from duologue.backends.pocket.brain_url.address import BrainAddress, BrainAddressError

__all__ = ["BrainAddress", "BrainAddressError"]
