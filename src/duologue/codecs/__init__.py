"""Tokens to waves and back.

    seanet    the convolutional encoder and decoder that neural codecs share
    mimi      Mimi, the codec of Moshi
"""
