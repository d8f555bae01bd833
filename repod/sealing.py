"""What the signed documents of one repository share: who signs them, who may have signed them, how long they are good.

So whoever can write to the store alone, and puts documents of his own there, gets no signature for them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from repod.doors import Clock, Signer
from repod.signed import Envelope, Term

Proves = Callable[[bytes, bytes, bytes], bool]
"""Whether a signature (the last) over data (the second) is by one of some armored certificates (the first)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """``keys``: fingerprints of those that ``signer`` signs an index with; ``valid``: seconds that a document is good.

    ``armor`` makes text of a signature.
    """

    repository: str
    signer: Signer
    keys: Sequence[str]
    armor: Callable[[bytes], bytes]
    proves: Proves
    valid: float
    clock: Clock

    def term(self) -> Term:
        """That of a document which is signed now."""
        now = int(self.clock())
        return Term(issued=now, expires=now + int(self.valid))

    def fresh(self, term: Term, keys: Sequence[str]) -> bool:
        """Whether a document of that term, signed by those keys, need not be signed anew."""
        return term.fresh(self.clock(), self.valid) and tuple(keys) == tuple(self.keys)

    def sign(self, document: str) -> bytes:
        """The document with its signature, as they lie in the store."""
        signature = self.armor(self.signer.sign_index(document.encode())).decode()
        return Envelope(document=document, signature=signature).to_json()

    def signed(self, document: str, signature: str) -> bool:
        """Whether a key that hosts get has signed it."""
        return self.proves(self.signer.published, document.encode(), signature.encode())
