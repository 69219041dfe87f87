"""Layers that neural models share. Their state lives in rows, explicitly.

A session owns a *row*: one index on the first axis of every state tensor. Weights live in modules, state
never does: a streaming call is handed the state and the :class:`~duologue.nn.rows.Rows` that take part in
it, and touches no other row. So sessions join, leave, are reset and are left out of a step independently,
and each gives what it would give alone.

    rows        which rows take part in a step
    cache       keys and values in rings, one a row; what a query may see
    attention   rotary positions, and the attention itself
    linear      linear maps, packed for the CPU
    processor   which CPU
    decoder     the one transformer decoder, by configuration
    conv        causal convolutions and transposed convolutions with their tails
    quantize    residual vector quantisation
    sampling    tokens from logits, drawn by counter
"""
