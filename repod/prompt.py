"""How the daemon's Python shares its time, so that who asks is answered while others work hard.

Threads of one process take turns, and whoever answers a request needs several turns for it: one for each thing
that it waits for, such as a socket. Measured with three threads that pack a publish of 50,000 packages.
"""

import gc
import sys

_TURN = 0.0005  # seconds that a thread may compute while others wait; with 0.005, the default, answers are slow
_RARELY = 1000  # collections of the middle generation before everything is looked through
_DUE = 500  # of them after which a quiet moment is used for it


def be_prompt() -> None:
    """Have threads take turns quickly, and Python look through all that it holds seldom.

    It looks for what is garbage in circles, and everything stands still meanwhile: 0.4 s where the metadata of
    50,000 packages is in hand, a dozen times within one publish, and it finds none. What there is now is never
    looked through again.
    """
    sys.setswitchinterval(_TURN)
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _RARELY)
    gc.freeze()


def tidy() -> None:
    """A quiet moment: look through everything, if that is due."""
    if gc.get_count()[2] >= _DUE:
        gc.collect()
