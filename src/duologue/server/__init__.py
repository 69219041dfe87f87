"""The server: sockets, page, authentication, limits, metrics. Starlette on uvicorn.

    options     how a server is set up, and what is refused before it starts
    access      who may come in: token, origin, host
    errors      every refusal in OpenAI's shape
    wire        uvicorn's WebSocket, with the bounds that a public server owes
    websocket   one socket and the session on it
    house       how many at once; draining
    metrics     what Prometheus reads
    app         the routes
    run         from options to a running server, and back down

Nothing in here decides what is said: a session is created for each socket, and driven.
"""
