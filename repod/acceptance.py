"""Whether a package may enter a repository: its facts and the rules give every fault at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from repod.package import ARCH, NAME, VERSION, Facts, Fault, Package, Sha256
from repod.profiles import PROFILES

_STRONG = {"", "sha256", "sha384", "sha512"}
_EPOCH_MAX = (1 << 31) - 1  # rpm takes twice that; dnf 4 ends with a traceback, whatever else it was to install
_NAME_MAX = 255  # bytes of a file's name on every Linux file system


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A repository's policy on what it lets in.

    ``names`` are shell patterns. ``signed_by`` are full primary fingerprints; empty means
    that packages need no signature of their own. ``max_size`` is in bytes. ``profile`` is a key
    of ``PROFILES``. ``documents``: groups, module streams and advisories are let in.
    """

    arches: Sequence[str]
    names: Sequence[str] = ("*",)
    signed_by: Sequence[str] = ()
    max_size: int = 2 << 30
    profile: str = "el9"
    file_digest: str = "any"
    documents: bool = True


def judge(facts: Facts, rules: Rules) -> list[Fault]:
    """Every reason to refuse the package; empty where there is none."""
    return [*facts.faults, *_identity(facts), *_policy(facts, rules), *_signature(facts, rules)]


def too_large(size: int, rules: Rules) -> Fault | None:
    """The fault of a file of ``size`` bytes, where it has one."""
    if size <= rules.max_size:
        return None
    text = f"{size} bytes; expected at most {rules.max_size} ([repository.acceptance] max_size)"
    return Fault(code="size", text=text)


def unwanted_document(rules: Rules) -> Fault | None:
    """The fault of a file for being a document, where it has one."""
    if rules.documents:
        return None
    text = "groups, modules and advisories are not let in here ([repository.acceptance] documents = false)"
    return Fault(code="document", text=text)


def _identity(facts: Facts) -> Iterator[Fault]:
    nevra = facts.nevra
    if not NAME.fullmatch(nevra.name):
        yield Fault(code="name", text=f"name {nevra.name[:200]!r} is not one; expected letters, digits and _ . + -")
    for what, value in (("version", nevra.version), ("release", nevra.release)):
        if not VERSION.fullmatch(value):
            text = f"{what} {value[:200]!r} is not one; expected letters, digits and . _ + ~ ^, no hyphen"
            yield Fault(code="version", text=text)
    if nevra.epoch > _EPOCH_MAX:
        yield Fault(code="version", text=f"epoch {nevra.epoch}; expected at most {_EPOCH_MAX}, dnf fails on more")
    for relation in facts.unheld:
        yield Fault(code="version", text=f"it {relation}")
    if not ARCH.fullmatch(nevra.arch):
        yield Fault(code="arch", text=f"arch {nevra.arch[:200]!r} is not one; expected letters, digits and _")
    length = len(nevra.filename.encode())
    if length > _NAME_MAX:
        text = f"its file name {nevra.filename[:60]}… would have {length} bytes; expected at most {_NAME_MAX}"
        yield Fault(code="name", text=text)


def _policy(facts: Facts, rules: Rules) -> Iterator[Fault]:
    nevra = facts.nevra
    arches = ", ".join(rules.arches)
    if nevra.arch == "src" and "src" not in rules.arches:
        text = f"a source package, which this repository does not want; add 'src' to arches ({arches}) if it does"
        yield Fault(code="source", text=text)
    elif nevra.arch not in rules.arches:
        yield Fault(code="arch", text=f"arch {nevra.arch[:200]}; expected one of {arches} ([[repository]] arches)")
    if not any(fnmatchcase(nevra.name, pattern) for pattern in rules.names):
        names = ", ".join(rules.names)
        yield Fault(
            code="name", text=f"name {nevra.name[:200]}; expected one of {names} ([repository.acceptance] names)"
        )
    profile = PROFILES[rules.profile]
    for text in (
        *profile.package_faults(facts.payload_compressor, facts.rpm_format),
        *profile.feature_faults(facts.features),
    ):
        yield Fault(code="profile", text=text)
    large = too_large(facts.size, rules)
    if large:
        yield large
    if rules.file_digest == "sha256" and facts.file_digest not in _STRONG:
        text = f"its files have {facts.file_digest} digests; expected SHA-256 ([repository.acceptance] file_digest)"
        yield Fault(code="file-digest", text=text)


def _signature(facts: Facts, rules: Rules) -> Iterator[Fault]:
    if not rules.signed_by:
        return
    wanted = ", ".join(rules.signed_by)
    if not facts.signatures:
        yield Fault(code="unsigned", text=f"not signed; expected a signature by {wanted}")
    elif not set(facts.signers) & set(rules.signed_by):
        found = ", ".join(facts.signers) or ", ".join(f"{sign.key} (not verified)" for sign in facts.signatures)
        yield Fault(code="signer", text=f"signed by {found}; expected {wanted}")


def conflict(facts: Facts, arrived: Sha256, published: Package) -> Fault:
    """The fault of a package whose NEVRA is taken by another build."""
    text = (
        f"{facts.nevra} is published with other content: published sha256 {published.pkgid}, "
        f"arrived sha256 {arrived}; give the new build a higher release"
    )
    return Fault(code="conflict", text=text)
