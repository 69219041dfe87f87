"""OpenAI Realtime as a state machine without I/O: messages in, requests to the session and events out."""
