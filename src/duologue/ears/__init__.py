"""Signals from audio: where somebody's voice is, and which words it says. Nothing here knows a neural framework.

    rate         24 kHz → 16 kHz, as a stream, without waiting
    voice        voice activity: onsets and pauses (Silero VAD by onnxruntime)
    ngram        word n-gram models with smoothing, written as ARPA files
    recognizer   words from speech: PocketSphinx in worker processes, many utterances at once
    worker       what runs in such a process
    wire         what the two say to each other
"""
