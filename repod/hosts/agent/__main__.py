"""`python -m repod.hosts.agent`."""

import sys

from repod.hosts.agent.command import main

if __name__ == "__main__":
    sys.exit(main())
