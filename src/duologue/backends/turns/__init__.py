"""Sessions with models that take turns: the runtime around them.

    link      one session's end: commands in, events out
    prompt    what the model is told: the dialogue in lines, its sounds and pictures stored once
    reply     one attempt at a reply

The model hears turns and answers; the rest is the runtime's. Its ear (PocketSphinx, English) gives hypotheses, so that
endpointing, barge-in and backchannels work as with ``pocket``, and tells whether words are meant for the model. Its
mouth reads aloud what a model only writes, its eye tells those that cannot see what a picture shows.
"""
