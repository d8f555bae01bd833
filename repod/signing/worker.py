"""What happens in a process that signs. It knows one key, and imports little: it must be there soon."""

import pysequoia

# The key of this process, put here when it begins.
_unlocked: list[pysequoia.PySigner] = []


def unlock(secret: bytes, passphrase: str | None) -> None:
    """Hold the key in ``secret``, which ``passphrase`` unlocks, from now on."""
    _unlocked.append(pysequoia.Tsk.from_bytes(secret).signer(passphrase))


def sign(data: bytes) -> bytes:
    """A binary detached signature over ``data``."""
    return pysequoia.sign(_unlocked[0], data, mode=pysequoia.SignatureMode.DETACHED, armor=False)
