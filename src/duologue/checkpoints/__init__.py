"""Published checkpoints, as they are.

    files     safetensors files as named tensors that are read when wanted
    keys      tables of names: which published tensor is which of ours, and loading by them
    layouts   other layouts of the same models, brought to the one that the tables name

The published layout is the contract: a table names every tensor that inference reads, and loading refuses
a checkpoint that lacks one, has one too many, or one of another shape, listing them by name.
"""
