"""Turn-taking, measured: scenarios in the manner of Full-Duplex-Bench, judged from the two audible timelines.

The rooms, in the order in which a scene passes through them:

    scenes      what is said when, by which voice; the phrases are in ``phrases.txt``
    stage       a scene performed against a server, as a stock client hears it
    verdict     what the two timelines say about it: one rule a kind
    run         many scenes, several at once, and the figures
    report      a page to look at
    folders     Full-Duplex-Bench's own recordings, where a person has them, by its own definitions
"""
