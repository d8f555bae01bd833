"""Whether a detached signature is by a certificate."""

import pysequoia


def verify_detached(certificate: bytes, data: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (armored or binary) over ``data`` verifies with the armored ``certificate``."""
    published = pysequoia.Cert.from_bytes(certificate)
    try:
        made = pysequoia.Sig.from_bytes(signature)
        pysequoia.verify(bytes=data, store=lambda _ids: [published], signature=made)
    except RuntimeError:
        return False
    return True
