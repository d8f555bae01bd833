"""`python -m repod.hosts`."""

import sys

from repod.hosts.command import main

if __name__ == "__main__":
    sys.exit(main())
