"""Turn-taking, measured: scenarios in the manner of Full-Duplex-Bench, judged from the two audible timelines.

scenes      what is said when, by which voice; the phrases are in ``phrases.txt``
stage       a scene performed against a server, as a stock client hears it
verdict     what the two timelines say about it: one rule a kind
run         many scenes, several at once, and the figures
recordings  Full-Duplex-Bench's own folders, where a person has them, by its own definitions
report      a page to look at
"""
