"""What turns a whole sound or picture into what a language model reads.

The rooms:

    mel        Whisper's log-mel spectrogram
    whisper    Whisper's encoder, all sizes, pooled or not
"""
