"""All who are known, by whatever a request shows of them."""

import threading
import time
from pathlib import Path

from repod.access import Caller, Offer, Reason, Stranger
from repod.callers.failures import Failures
from repod.callers.passwords import PasswordFile
from repod.callers.tokens import PREFIX, TokenFile
from repod.listening import Http

_AT_ONCE = 2  # passwords that are worked on; guesses must not take all processors
_PATIENCE = 5.0


class Known:
    """``Callers`` of the settings.

    A right token, certificate or remembered password is always let in: only guessing is slowed down, so nobody
    can shut out the hosts with whom he shares an address.
    """

    def __init__(self, http: Http) -> None:
        """``http``: which files there are; they need not be readable yet."""
        self._tokens = TokenFile(Path(http.tokens), time.time) if http.tokens else None
        self._passwords = PasswordFile(Path(http.passwords)) if http.passwords else None
        self._failures = Failures(time.monotonic)
        self._working = threading.Semaphore(_AT_ONCE)

    def recognize(self, offer: Offer) -> Caller:
        """See ``Callers.recognize``."""
        if not (offer.token or offer.user or offer.password or offer.names):
            raise Stranger(Reason.NOTHING)
        try:
            return self._recognized(offer)
        except Stranger as stranger:
            wait = self._failures.wait(offer.address)
            self._failures.note(offer.address)
            if wait and stranger.reason != Reason.THROTTLED:
                raise Stranger(Reason.THROTTLED, stranger.who, wait) from stranger
            raise

    def _recognized(self, offer: Offer) -> Caller:
        # dnf and zypper know names and passwords only: there a token is the password, with any name.
        token = offer.token or (offer.password if offer.password.startswith(PREFIX) else "")
        if token and self._tokens:
            return self._tokens.recognize(token)
        if offer.user and not token and self._passwords:
            return self._by_password(self._passwords, offer)
        if offer.names and not (token or offer.user or offer.password):
            return Caller(names=offer.names, how="certificate")
        raise Stranger(Reason.UNKNOWN)

    def _by_password(self, passwords: PasswordFile, offer: Offer) -> Caller:
        if caller := passwords.remembers(offer.user, offer.password):
            return caller
        if wait := self._failures.wait(offer.address):
            raise Stranger(Reason.THROTTLED, "", wait)
        if not self._working.acquire(timeout=_PATIENCE):
            raise Stranger(Reason.THROTTLED, "", _PATIENCE)
        try:
            return passwords.recognize(offer.user, offer.password)
        finally:
            self._working.release()
