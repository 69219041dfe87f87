"""pocket's brain: skills with slots. No I/O, no clock and no dice of its own."""
