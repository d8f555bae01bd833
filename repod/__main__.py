"""``python -m repod``."""

from repod.cli import main

main(prog_name="repod")
