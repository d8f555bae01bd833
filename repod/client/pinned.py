"""The keys that hosts may import: those of a file whose fingerprints are pinned, and no other."""

from collections.abc import Sequence
from functools import lru_cache

from repod.errors import Misconfigured

_PLACE = "the public key file of the repository"


@lru_cache(maxsize=8)
def pinned(key_file: bytes, keys: Sequence[str]) -> bytes:
    """The certificates in ``key_file`` whose primary key is one of ``keys``, armored; nothing where none is pinned.

    ``keys``: full fingerprints, as a tuple. ``Misconfigured`` where one of them is not in the file: another key was
    put in its place, or the pin is old.
    """
    if not keys:
        return b""
    # What reads OpenPGP takes a tenth of a second to load, and most runs pin nothing.
    from repod.signing.openpgp import armor_certificate, certificates  # noqa: PLC0415
    from repod.signing.published import split_keys  # noqa: PLC0415

    found: dict[str, bytes] = {}
    for certificate in split_keys(_PLACE, key_file):
        (components,) = certificates(certificate)
        found[components[0].fingerprint.upper()] = armor_certificate(certificate)
    wanted = [key.replace(" ", "").upper() for key in keys]
    if missing := [key for key in wanted if key not in found]:
        msg = (
            f"{_PLACE} does not hold the pinned key {', '.join(missing)}: found {', '.join(found) or 'none'};"
            " compare them, and correct [repository.NAME] keys only where the change was announced"
        )
        raise Misconfigured(msg)
    return b"".join(found[key] for key in wanted)
