"""``python -m repod``, and where the installed ``repod`` begins.

Worker processes run the program's first file once more before they begin (multiprocessing's
way to know its classes), so this one imports nothing of weight until it is called.
"""

import gc

from repod.confinement.hiding import hide
from repod.footing import stand


def main() -> None:
    """Run the command line."""
    stand()
    from repod.cli import main as command  # noqa: PLC0415 - see above

    hide()
    try:
        command(prog_name="repod")
    finally:
        # Python looks through all that it holds once more when it ends, and there is nothing to find.
        gc.freeze()


if __name__ == "__main__":
    main()
