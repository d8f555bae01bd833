"""What a server, or the way to it, can do to a request to S3, and to which requests."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.lab.s3requests import Request

Does = Literal[
    "error",  # 500, nothing done
    "slow down",  # 503 SlowDown, nothing done
    "reset",  # the connection is reset, nothing done
    "no answer",  # silence for `seconds`, nothing done
    "done, error",  # 500, and yet it was done
    "done, reset",  # the connection is reset, and yet it was done
    "done, no answer",  # silence for `seconds`, and yet it was done
    "slow",  # done after `seconds`
    "late",  # done after the client gave up, or after `seconds`
    "conflict",  # 409 ConditionalRequestConflict to a conditional write, nothing done
    "expired",  # 400 ExpiredToken, nothing done
    "denied",  # 403 AccessDenied, nothing done
    "unknown",  # 501 NotImplemented, nothing done
    "full",  # 507, nothing done
    "half",  # the answer breaks off in the middle of its body
    "hold",  # held until `release`, then done, though the client may be gone
]
Mode = Literal[
    "no conditions",  # If-Match and If-None-Match of writes are ignored
    "no checksums",  # checksum headers are ignored
    "refuse checksums",  # 501 NotImplemented to a request with one
    "plus is space",  # "+" in a path is read as a space
]
ANSWERS = {
    "error": (500, "InternalError", "We encountered an internal error. Please try again."),
    "slow down": (503, "SlowDown", "Please reduce your request rate."),
    "conflict": (409, "ConditionalRequestConflict", "A conflicting conditional operation is under way."),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
    "denied": (403, "AccessDenied", "Access Denied"),
    "full": (507, "XStorageFull", "Storage backend has reached its limit."),
    "unknown": (501, "NotImplemented", "A header you provided implies functionality that is not implemented"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done to requests: to the ``share`` (0 to 1, drawn) of those that fit.

    ``on``: names of operations, none for all; ``where``: what else must hold. The first ``after`` of those
    that fit are let pass, and it is done ``times`` times at the most (0: without end).
    ``done`` is told of what was done, before the client hears of it, or does not.
    """

    does: Does
    share: float = 1.0
    on: Collection[str] = ()
    where: Callable[[Request], bool] = lambda _request: True
    after: int = 0
    times: int = 0
    seconds: float = 0.2
    done: Callable[[Request], object] = lambda _request: None

    def fits(self, request: Request) -> bool:
        """Whether it is about this request."""
        conditional = self.does != "conflict" or request.conditional
        return conditional and (not self.on or request.operation in self.on) and self.where(request)


def chaos(share: float, *, seconds: float = 0.5) -> Sequence[Rule]:
    """Every way in which a call can fail, be slow, or lie about its outcome: so often in all."""
    ways: tuple[Does, ...] = (
        "error",
        "slow down",
        "reset",
        "done, error",
        "done, reset",
        "slow",
        "late",
        "conflict",
        "half",
    )
    return [Rule(does=does, share=share / len(ways), seconds=seconds) for does in ways]
