"""``python -m repod.client``, and where the installed ``repoctl`` begins."""

import gc

from repod.confinement.hiding import hide
from repod.footing import stand


def main() -> None:
    """Run the command line."""
    stand()
    from repod.client.cli import main as command  # noqa: PLC0415 - as repod's, so that it is cheap to import

    hide()
    try:
        command(prog_name="repoctl")
    finally:
        # Python looks through all that it holds once more when it ends, and there is nothing to find.
        gc.freeze()


if __name__ == "__main__":
    main()
