"""``python -m duologue``."""

from duologue import cli

cli.main(prog_name="duologue")
