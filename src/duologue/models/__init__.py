"""The speech models, a file a system, each reading from top to bottom like its paper's figure.

    contract      what a model that works frame by frame offers
    columns       Moshi's token columns: delays, and who fills them
    moshi         Moshi; its sizes (moshi_config) and published directories (moshi_files)
    personaplex   PersonaPlex: Moshi with a voice prompt and a text prompt
    moshi_random  both with random weights, in the published layout
"""
