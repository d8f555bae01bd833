"""What the hosts of a repository can read: one table, each answer with its reason.

A reason is either measured with the clients that the tests run (dnf 4.14, zypper 1.14, rpm
4.18) or read in the source that it names; what neither was found for is not answered ``yes`` or
``no``. The README's chapter "Profiles" shows this table; a test holds the two together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import rpm_rs

_SUFFIXES: Mapping[str, str] = {"gz": "gz", "zstd": "zst"}
# The records that were seen to be read with zstd; of any other the reader is not known.
_READ_BY_ALL = frozenset({"primary", "filelists", "other", "group", "modules", "updateinfo"})
_PAYLOAD = "PayloadIs"  # numbered apart, 5.2 for xz; whether it can be unpacked is a question of its own
_NEWEST_OLD = rpm_rs.Evr.parse("4.12~")
_SIX = 6  # rpm's newest package format


class Answer(Enum):
    """Whether the hosts of a profile take something. ``UNSURE``: neither was found; repod warns."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One answer. ``why`` ends a sentence; ``since`` is the first release that it holds for, if not for all.

    ``measured``: seen in the tests; else read in ``source``.
    """

    answer: Answer
    why: str
    source: str
    since: str = ""
    measured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one kind of host takes. Each field below ``hosts`` is one question.

    ``zstd_metadata``: documents packed with zstd. ``packed_groups``: a ``group`` record (comps)
    that is packed. ``zstd_payload``: packages with such a payload. ``format_6``: packages in rpm's
    format 6, as repod signs them. ``rpm_4_12``: packages that need what rpm 4.12 or a later one brought
    (``rpmlib(...)``): rich dependencies, files over 4 GiB, carets. ``ed25519``: signatures by such a
    key. ``subkey``: signatures by a subkey. ``metalink``: frozen views through a metalink.
    """

    name: str
    hosts: str
    zstd_metadata: Verdict
    packed_groups: Verdict
    zstd_payload: Verdict
    format_6: Verdict
    rpm_4_12: Verdict
    ed25519: Verdict
    subkey: Verdict
    metalink: Verdict

    def form(self, kind: str, compression: str) -> str:
        """The suffix under which a record of repomd is published: ``""`` plain, ``gz``, ``zst``.

        ``kind`` is the record's type, ``compression`` the repository's: ``gz`` or ``zstd``. Every
        host of the profile reads it. There is one form: of several, the reader chooses, and one that
        does not know all of them may choose wrongly.
        """
        if kind == "group" and self.packed_groups.answer is not Answer.YES:
            return ""
        return _SUFFIXES[compression if kind in _READ_BY_ALL else "gz"]

    def compression_fault(self, compression: str) -> str:
        """Why hosts cannot read documents so packed; empty where they can."""
        if compression != "zstd" or self.zstd_metadata.answer is Answer.YES:
            return ""
        return f'profile {self.name} cannot read zstd metadata: {self.zstd_metadata.why}; use "gz"'

    def package_faults(self, compressor: str, rpm_format: int) -> Iterator[str]:
        """Why hosts cannot install a package with this payload, in this format of rpm's."""
        if compressor == "zstd" and self.zstd_payload.answer is Answer.NO:
            yield f"its payload is zstd, and profile {self.name} says {self.zstd_payload.why}; use gzip or xz"
        if rpm_format == _SIX and self.format_6.answer is Answer.NO:
            yield f"it is in rpm's format 6, and profile {self.name} says {self.format_6.why}; build it in format 4"

    def feature_faults(self, features: Sequence[str]) -> Iterator[str]:
        """Why hosts cannot install a package that needs this of rpm (see ``Facts.features``), one for each."""
        if self.rpm_4_12.answer is not Answer.NO:
            return
        for feature in features:
            name, _, version = feature.partition(" ")
            if not name.startswith(_PAYLOAD) and rpm_rs.Evr.parse(version) > _NEWEST_OLD:
                yield f"it needs rpmlib({name}) of rpm {version}, and {self.rpm_4_12.why}; build it without"

    def key_faults(self, algorithm: str, *, subkey: bool) -> Iterator[str]:
        """Why hosts cannot verify what a key of this algorithm signs. ``subkey``: it is one."""
        if algorithm == "ed25519" and self.ed25519.answer is Answer.NO:
            yield f"the signing key is {algorithm}, and {self.ed25519.why}; use an RSA key"
        if subkey and self.subkey.answer is Answer.NO:
            yield f"a subkey signs, and {self.subkey.why}; use a key whose primary key may sign"

    def key_doubts(self, algorithm: str) -> Iterator[str]:
        """Why hosts perhaps cannot verify what a key of this algorithm signs."""
        if algorithm == "ed25519" and self.ed25519.answer is Answer.UNSURE:
            yield f"the signing key is {algorithm}, and {self.ed25519.why}; try it on a host, or use an RSA key"


def _yes(why: str, source: str, *, since: str = "", measured: bool = False) -> Verdict:
    return Verdict(answer=Answer.YES, why=why, source=source, since=since, measured=measured)


def _no(why: str, source: str, *, measured: bool = False) -> Verdict:
    return Verdict(answer=Answer.NO, why=why, source=source, measured=measured)


_CREATEREPO = "Fedora change createrepo_c 1.0.0"
_COMPOSES = "Fedora change ChangeComposeSettings"

_YUM_ZSTD = _no("yum stops at it", "createrepo_c#383; newrelic-dotnet-agent#3220 for Amazon Linux 2")
_DNF_ZSTD = _yes("dnf reads it", "dnf 4.14", measured=True)
_YUM_GROUPS = _no("yum reads the record plain only", _CREATEREPO)
_DNF_GROUPS = _yes("dnf unpacks it by its suffix", "dnf 4.14; pulp_rpm#2941", measured=True)
_OLD_ZSTD_PAYLOAD = _no("rpm 4.11 cannot unpack it", "SapMachine#670; jfrog-cli#1421 for Amazon Linux 2")
_OLD_SIX = _no("rpm 4.11 cannot unpack it", "rpm's announcement of format 6: unpacked from rpm 4.12 on")
_UNSEEN_SIX = _no("rpm 4 sees no signature on it", "dnf 4.14, rpm 4.18", measured=True)
_OLD_FEATURES = _no("rpm 4.11 has nothing that a later one brought", "rpm's lib/rpmds.c, rpmlibProvides")
_FEATURES = _yes("its rpm has rich dependencies and large files", "rpm's lib/rpmds.c, rpmlibProvides")
_OLD_ED25519 = _no("rpm 4.11 cannot verify it", "rpm#1202 added it in 2020, after rpm 4.15")
_DOUBTED_ED25519 = Verdict(
    answer=Answer.UNSURE,
    why="rpm 4.14 as released cannot verify it",
    source="rpm#1202 added it after rpm 4.15; whether RHEL 8 took it back was not found",
)
_UNFOUND_ED25519 = Verdict(
    answer=Answer.UNSURE,
    why="whether its rpm can verify it was not found",
    source="rpm#1202 added it to rpm in 2020, after SUSE Linux Enterprise 15",
)
_ED25519 = _yes("rpm verifies it", "rpm 4.18; rpm#1571, which RHEL 9's rpm has too", measured=True)
_OLD_SUBKEY = _no("rpm 4.11 knows the primary key only", "libnvidia-container#86; tyk-pump#245")
_SUBKEY = _yes("rpm verifies it", "rpm 4.18; ci-dnf-stack#292 for rpm 4.13", measured=True)
_METALINK = _yes("dnf asks for it at every refresh", "dnf 4.14", measured=True)
_YUM_METALINK = _yes("yum asks for it when its cache expires", "yum.conf(5)")
_ZYPPER_METALINK = _no("zypper keeps it for ten minutes and sees no news meanwhile", "zypper 1.14", measured=True)


def _yum(name: str, hosts: str) -> Profile:
    return Profile(
        name=name,
        hosts=hosts,
        zstd_metadata=_YUM_ZSTD,
        packed_groups=_YUM_GROUPS,
        zstd_payload=_OLD_ZSTD_PAYLOAD,
        format_6=_OLD_SIX,
        rpm_4_12=_OLD_FEATURES,
        ed25519=_OLD_ED25519,
        subkey=_OLD_SUBKEY,
        metalink=_YUM_METALINK,
    )


_ALL = (
    _yum("el7", "RHEL 7 and its rebuilds (yum 3.4, rpm 4.11); best effort"),
    _yum("amzn2", "Amazon Linux 2 (yum, rpm 4.11)"),
    Profile(
        name="el8",
        hosts="RHEL 8 and its rebuilds (dnf 4, rpm 4.14)",
        zstd_metadata=_yes("its libsolv reads it", _CREATEREPO, since="8.4"),
        packed_groups=_DNF_GROUPS,
        zstd_payload=_yes("its rpm unpacks it", "redline#153, Red Hat bug 1715799", since="8.2"),
        format_6=_UNSEEN_SIX,
        rpm_4_12=_FEATURES,
        ed25519=_DOUBTED_ED25519,
        subkey=_SUBKEY,
        metalink=_METALINK,
    ),
    Profile(
        name="el9",
        hosts="RHEL 9 and its rebuilds (dnf 4, rpm 4.16)",
        zstd_metadata=_DNF_ZSTD,
        packed_groups=_DNF_GROUPS,
        zstd_payload=_yes("rpm packs with it by default", "zfsonlinux.github.com#69; the spec file of its rpm"),
        format_6=_UNSEEN_SIX,
        rpm_4_12=_FEATURES,
        ed25519=_ED25519,
        subkey=_SUBKEY,
        metalink=_METALINK,
    ),
    Profile(
        name="el10",
        hosts="RHEL 10 and its rebuilds (dnf 4, rpm 4.19)",
        zstd_metadata=_DNF_ZSTD,
        packed_groups=_DNF_GROUPS,
        zstd_payload=_yes("rpm packs with it by default since RHEL 9", "zfsonlinux.github.com#69"),
        format_6=_yes("its rpm reads rpm 6 signatures", "RHEL 10 documentation, Signing RPM packages", since="10.1"),
        rpm_4_12=_FEATURES,
        ed25519=_ED25519,
        subkey=_SUBKEY,
        metalink=_METALINK,
    ),
    Profile(
        name="fedora",
        hosts="Fedora (dnf 5, rpm 6 since Fedora 43)",
        zstd_metadata=_yes("dnf reads it", _CREATEREPO, since="30"),
        packed_groups=_yes("its own repositories have it", _COMPOSES),
        zstd_payload=_yes("its own packages use it", "Fedora change Switch_RPMs_to_zstd_compression", since="31"),
        format_6=_yes("its rpm is rpm 6", "Fedora change RPM-6.0", since="43"),
        rpm_4_12=_FEATURES,
        ed25519=_ED25519,
        subkey=_SUBKEY,
        metalink=_METALINK,
    ),
    Profile(
        name="sles15",
        hosts="SUSE Linux Enterprise 15, openSUSE Leap 15 (zypper, rpm 4)",
        zstd_metadata=_yes("its libsolv is built with zstd", "SUSE-RU-2020:3285", since="SP1"),
        packed_groups=_yes("zypper has no use for groups, and does not stop at them", "zypper 1.14", measured=True),
        zstd_payload=_yes("its rpm is linked with zstd", "obs-build#553", since="SP2"),
        format_6=_UNSEEN_SIX,
        rpm_4_12=_FEATURES,
        ed25519=_UNFOUND_ED25519,
        subkey=_SUBKEY,
        metalink=_ZYPPER_METALINK,
    ),
)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in _ALL}
"""All profiles by the name that ``[[repository]] profile`` gives."""
