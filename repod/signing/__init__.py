"""Signer: who holds the signing key. ``opening.open_signer`` is the way in."""
