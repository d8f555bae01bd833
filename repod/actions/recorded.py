"""A change on its way through the door of the audit log, done or not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from repod.errors import Refused, RepodError
from repod.loop import Log
from repod.office import By, Record


class Outcome:
    """What became of a change: it failed, unless it says otherwise.

    ``unwritten`` is why it does not stand in the audit log, where it does not: what was done is done all the same.
    """

    def __init__(self) -> None:
        """Nothing became of it yet."""
        self.text = "failed"
        self.unwritten = ""

    def end(self, text: str, code: int = 0) -> None:
        """It ended with an exit code: 0 where it was done."""
        word = {0: "done", Refused.exit_code: "refused"}.get(code, "failed")
        self.text = f"{word}: {text}" if text else word


@contextmanager
def recorded(
    record: Record, log: Log, *, by: By, what: str, repository: str, details: Mapping[str, Any]
) -> Iterator[Outcome]:
    """While ``by`` does ``what``; what is raised meanwhile is its outcome, and raised.

    ``Unavailable`` before anything is done, where it could not be written down.
    """
    record.ready()
    outcome = Outcome()
    try:
        yield outcome
    except RepodError as error:
        outcome.end(str(error), error.exit_code)
        raise
    except Exception as error:
        outcome.end(f"{type(error).__name__}: {error}", RepodError.exit_code)
        raise
    finally:
        try:
            record(by=by, what=what, repository=repository, details=details, outcome=outcome.text)
        except RepodError as error:
            outcome.unwritten = f"not in the audit log: {error}"
            log.error(  # noqa: TRY400 - it is told in a line
                outcome.unwritten, repository=repository, what=what, actor=by.actor, outcome=outcome.text
            )
