"""Signals from audio: where somebody's voice is, and which words it says. Nothing here knows a neural framework.

    rate         24 kHz → 16 kHz, as a stream, without waiting
    silero       whether a voice is in a frame: Silero VAD by onnxruntime, many streams at once
    voice        voice activity on a stream: onsets and pauses
    echo         the loudspeaker taken out of the microphone, for clients that do not do it themselves
    echo_path    the way from the one to the other as a linear filter
    ngram        word n-gram models with smoothing, written as ARPA files
    recognizer   words from speech: PocketSphinx in worker processes, many utterances at once
    worker       what runs in such a process
    wire         what the two say to each other
"""
