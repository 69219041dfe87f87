"""The engine: a process of its own in which a neural model talks with many people on one clock.

    messages   what the two processes say to each other
    inlet      one person's sound on its way to frames: phase, silence, backlog
    pace       what a step costs, and so how often the engine ticks and how many people it takes
    stepping   how a step is run: by rows, or as a CUDA graph that is replayed
    ticks      the loop: gather, step, hand out; rows leased, cleared, lost
    echo       a model that says what it hears: the server's own cost, measured
    spelling   its text, also where a character comes a byte at a time
    fit        whether it fits into memory
    loading    models by name or directory
    __main__   the process
    process    the server's end of it: started, watched, restarted

The server imports ``process`` only, which does without torch. Outside the engine a session's place is named by its
*seat*, a number that is never used twice; which row of the model's state it has is the engine's own business.
"""
