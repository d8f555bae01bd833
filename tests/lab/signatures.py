"""Who signed packages and indexes, read by rpm-rs and pysequoia; and indexes whose signatures change places."""

from pathlib import Path

import createrepo_c
import pysequoia
import rpm_rs
from pysequoia.packet import PacketPile

from tests.lab.clients import createrepo_c_list


def issuers(package: Path) -> set[str]:
    """Who signed a package: fingerprints where the signature names one."""
    signatures = rpm_rs.PackageMetadata.open(str(package)).signatures()
    return {(made.fingerprint or made.key_id or "").upper() for made in signatures}


def listed_issuers(repo: Path) -> set[str]:
    """Who signed the packages that a repository lists."""
    packages: list[createrepo_c.Package] = createrepo_c_list(repo)
    return {issuer for package in packages for issuer in issuers(repo / package.location_href)}


def index_issuers(repo: Path) -> list[str]:
    """Who signed the live index, in the order of the signatures."""
    packets = PacketPile.from_bytes((repo / "repodata/repomd.xml.asc").read_bytes())
    made = [pysequoia.Sig.from_bytes(bytes(packet)) for packet in packets]
    return [(one.issuer_fingerprint or "").upper() for one in made]


def turned(signatures: bytes) -> bytes:
    """The same armored signatures in the other order."""
    packets = [bytes(packet) for packet in PacketPile.from_bytes(signatures)]
    return pysequoia.armor(b"".join(reversed(packets)), pysequoia.ArmorKind.Signature).encode()
