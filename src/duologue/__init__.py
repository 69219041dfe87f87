"""duologue: one runtime on which a person talks with an open speech LLM.

The rooms, from the outside in (imports only ever go downwards):

    cli                 serve · talk · ask · bench
    measure             the figures users compare by, taken from the audible timelines
    server              sockets, page, authentication, limits, metrics
    session             one conversation: clocks, pacing, endpointing, the floor, its backend
    backends            who answers: the contract, and ``pocket`` (ear, brain, mouth)
    protocol            OpenAI Realtime as a state machine without I/O
    floor               who may speak, as a table
    ears                signals from audio: voice activity, hypotheses
    audio               samples at the edge: formats, files, levels

``docs/architecture.md`` tells the whole story.
"""

__version__ = "0.1.0"
