"""Talking without a browser: microphone, loudspeaker, and a few words on the terminal.

    device        what has a microphone and a loudspeaker on one clock
    soundcard     the machine's own, by PortAudio
    room          a simulated one: loudspeaker, walls, a person, all in numbers
    loudspeaker   what is to be played, and how much of it was
    talk          a device at one end, a line to a session at the other, the echo taken out between them
    display       what the conversation looks like in text
    conversation  all of it put together
"""
