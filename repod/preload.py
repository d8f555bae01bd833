"""What the server process of ``processes`` holds ready for those that it forks."""

import gc

import repod.rpmfile.worker
import repod.signing.worker  # noqa: F401 - to have it is all
from repod.confinement.hiding import hide
from repod.processes import forget_credentials

hide()
forget_credentials()

# The collector of a forked process would write into every page that it shares with the others.
gc.freeze()
