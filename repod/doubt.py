"""Writes that are tried again: as often as others are faster, but not for ever where nobody answers."""

from types import TracebackType

from repod.errors import Conflict, OutcomeUnknown

_MOST = 5


class Doubts:
    """Of one write that is tried again and again: how often in a row nobody could say whether it was done.

    Once or twice an answer is lost; more often is no race but an outage, which ends no sooner for being asked. As a
    context manager it is silent about what ``met`` takes.
    """

    def __init__(self) -> None:
        """Nothing was met yet."""
        self._left = _MOST

    def met(self, error: Conflict | OutcomeUnknown) -> None:
        """Take note; raises the error where it is one doubt too many, and counts anew from there."""
        self._left = _MOST if isinstance(error, Conflict) else self._left - 1
        if not self._left:
            self.over()
            raise error

    def over(self) -> None:
        """What comes is another write."""
        self._left = _MOST

    def __enter__(self) -> None:
        """A try begins."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _where: TracebackType | None
    ) -> bool:
        """Whether it is to be tried again."""
        if isinstance(error, Conflict | OutcomeUnknown):
            self.met(error)
            return True
        return False
