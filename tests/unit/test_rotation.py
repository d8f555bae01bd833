"""From what a repository shows its hosts to the phase it is in, and what to do next."""

from dataclasses import replace

import pytest

from repod.config import Signing
from repod.guidance import guide
from repod.hostkeys import COSIGNS, PUBLISHED, SIGNS, Announced, HostKey, accepted
from repod.rotation import Issuers, Past, Shown, judge

NOW, DAY = 1_000_000_000.0, 86400.0
WINDOW, GRACE = 7 * DAY, 3 * DAY
OLD, NEW, STRANGER = "A" * 40, "B" * 40, "C" * 40
OLD_SUBKEY = "D" * 40


def key(fingerprint: str, role: str, *members: str) -> HostKey:
    return HostKey(
        role=role,
        fingerprint=fingerprint,
        members=frozenset((fingerprint, *members)),
        algorithm="rsa4096",
        created=1,
        expires=None,
        source=f"/etc/{fingerprint[:1]}.pub",
        certificate=b"",
    )


def known(fingerprint: str, since: float, *, signed: float | None = None, until: float | None = None) -> Announced:
    members = [fingerprint, OLD_SUBKEY] if fingerprint == OLD else [fingerprint]
    return Announced(fingerprint=fingerprint, since=since, members=members, until=until, signed=signed)


def by(*fingerprints: str) -> Issuers:
    return frozenset(fingerprints)


def shown(
    *announced: Announced,
    signed: dict[Issuers, int],
    index: Issuers = frozenset({OLD}),
    past: tuple[Past, ...] = (),
    served: tuple[str, ...] | None = None,
) -> Shown:
    given = tuple(one.fingerprint for one in announced if one.until is None)
    return Shown(
        repository="el9",
        served=frozenset(given if served is None else served),
        announced={one.fingerprint: one for one in announced},
        index=index,
        signed=signed,
        past=past,
        grace=GRACE,
    )


LONG_AGO = known(OLD, NOW - 99 * DAY, signed=NOW - 99 * DAY)
ALONE = shown(LONG_AGO, signed={by(OLD): 5})
LEARNING = shown(LONG_AGO, known(NEW, NOW - 2 * DAY), signed={by(OLD): 5})
LEARNT = shown(LONG_AGO, known(NEW, NOW - 8 * DAY), signed={by(OLD): 5})
SWITCHED = shown(
    LONG_AGO, known(NEW, NOW - 9 * DAY, signed=NOW - DAY), signed={by(OLD): 4, by(NEW): 1}, index=by(OLD, NEW)
)


def generation(number: int, ended: float, by_whom: str = OLD) -> Past:
    return Past(number=number, ended=ended, index=by(OLD, NEW), packages=frozenset([by(by_whom)]))


SIGNED_ANEW = replace(SWITCHED, signed={by(NEW): 5}, past=(generation(8, NOW - DAY), generation(7, NOW - 50 * DAY)))
STILL_KEPT = replace(SIGNED_ANEW, past=(generation(9, NOW - DAY, NEW), generation(8, NOW - 4 * DAY)))
NOT_NEEDED = replace(SIGNED_ANEW, past=(generation(9, NOW - DAY, NEW),))
BEFORE = [key(OLD, SIGNS, OLD_SUBKEY), key(NEW, PUBLISHED)]
AFTER = [key(NEW, SIGNS), key(OLD, COSIGNS, OLD_SUBKEY)]


@pytest.mark.parametrize(
    ("keys", "seen", "phase", "says"),
    [
        (BEFORE[:1], ALONE, "steady", "nothing"),
        (BEFORE, ALONE, "publish", "hosts do not get it yet"),
        (BEFORE, LEARNING, "window", "wait until 2001-09-14T01:46:40Z"),
        (BEFORE, LEARNT, "switch", "it may sign now"),
        (AFTER, LEARNT, "resign", "5 packages are still signed by the last key"),
        (AFTER, SWITCHED, "resign", "4 packages are still signed by the last key: repod resign el9"),
        (
            AFTER,
            replace(SWITCHED, signed={by(NEW): 5}, index=by(OLD)),
            "resign",
            "the index is not signed by the key yet",
        ),
        (AFTER, SIGNED_ANEW, "wait", "metadata of generation 8, which needs it, until 2001-09-11T01:46:40Z"),
        (AFTER, STILL_KEPT, "wait", "generation 8 needs it until retention"),
        (AFTER, NOT_NEEDED, "retire", "nothing needs it any more"),
        (AFTER[:1], replace(NOT_NEEDED, index=by(NEW)), "steady", "nothing"),
    ],
)
def test_a_change_of_keys_goes_from_phase_to_phase(keys: list[HostKey], seen: Shown, phase: str, says: str) -> None:
    verdict = judge(keys, seen, now=NOW, window=WINDOW)
    assert (verdict.phase, *verdict.faults, *verdict.notes) == (phase,)
    assert says in verdict.next


@pytest.mark.parametrize(
    ("keys", "seen", "says"),
    [
        (AFTER, LEARNING, f"{NEW} signs, and hosts can learn it since 2001-09-07T01:46:40Z only: until 2001-09-14"),
        (AFTER[:1], ALONE, f"{NEW} signs, and hosts can learn it since 2001-09-09T01:46:40Z only"),
        (AFTER[:1], SWITCHED, f"4 packages are signed by {OLD}, which hosts get no more"),
        (AFTER[:1], replace(SWITCHED, signed={by(OLD_SUBKEY): 4}), f"4 packages are signed by {OLD}, which"),
        (AFTER[:1], replace(SWITCHED, signed={by(NEW): 5}, index=by(OLD)), f"the index is signed by {OLD} only"),
        (
            AFTER[:1],
            SIGNED_ANEW,
            f"generation 8 until 2001-09-11T01:46:40Z, whose packages are signed by {OLD}",
        ),
    ],
)
def test_what_hosts_cannot_bear_yet_is_a_fault(keys: list[HostKey], seen: Shown, says: str) -> None:
    verdict = judge(keys, seen, now=NOW, window=WINDOW)
    assert verdict.phase == "ahead"
    assert says in "\n".join(verdict.faults)


def test_after_grace_a_kept_generation_is_no_reason_to_complain_of_a_retired_key() -> None:
    assert judge(AFTER[:1], replace(STILL_KEPT, index=by(NEW)), now=NOW, window=WINDOW).faults == ()


def test_a_new_repository_may_sign_with_its_first_key_at_once() -> None:
    first = shown(signed={}, index=by(), served=())
    assert judge(AFTER[:1], first, now=NOW, window=WINDOW).phase == "publish"
    begun = shown(known(NEW, NOW, signed=NOW), signed={}, index=by(NEW))
    assert judge(AFTER[:1], begun, now=NOW, window=WINDOW).phase == "steady"


def test_a_switch_that_was_set_back_leaves_the_new_key_to_come() -> None:
    back = shown(LONG_AGO, known(NEW, NOW - 2 * DAY, signed=NOW - DAY), signed={by(OLD): 5, by(NEW): 1})
    assert judge(BEFORE, back, now=NOW, window=WINDOW).phase == "window"
    assert judge(BEFORE, back, now=NOW + 6 * DAY, window=WINDOW).phase == "switch"


def test_what_others_signed_is_a_note_and_asks_for_nothing() -> None:
    seen = replace(ALONE, signed={by(OLD): 5, by(STRANGER): 2, by(): 1})
    verdict = judge(BEFORE[:1], seen, now=NOW, window=WINDOW)
    assert (verdict.phase, verdict.faults) == ("steady", ())
    assert [note.partition(",")[0] for note in verdict.notes] == [
        f"2 packages are signed by {STRANGER}",
        "1 package is not signed",
    ]


def test_the_key_of_others_whose_packages_were_adopted_may_be_given_to_hosts_for_ever() -> None:
    seen = shown(LONG_AGO, known(STRANGER, NOW - 50 * DAY), signed={by(OLD): 5, by(STRANGER): 2})
    verdict = judge([*BEFORE[:1], key(STRANGER, PUBLISHED)], seen, now=NOW, window=WINDOW)
    assert (verdict.phase, verdict.faults) == ("steady", ())
    assert "hosts get its public key" in verdict.notes[0]


def test_a_signature_that_names_a_key_id_only_is_found_to_be_by_its_key() -> None:
    assert accepted(["A" * 16], BEFORE)
    assert not accepted(["C" * 16], BEFORE)
    assert not accepted([], BEFORE)
    assert not accepted([OLD, STRANGER], BEFORE)  # rpm 4 may look at the one that it does not know


SIGNING = Signing(key="/etc/old.asc", passphrase_file="/etc/pass", published=[f"/etc/{NEW[:1]}.pub", "/etc/c.pub"])


def lines(keys: list[HostKey], *seen: Shown, signing: Signing = SIGNING) -> list[str]:
    verdicts = [judge(keys, one, now=NOW, window=WINDOW) for one in seen]
    return [step.line for step in guide(verdicts, keys, signing).steps]


def test_the_step_names_the_very_lines_of_the_settings() -> None:
    assert lines(BEFORE, LEARNT) == [
        f'key = "..."  # the secret part of {NEW}',
        'cosign = "/etc/old.asc"',
        'cosign_passphrase_file = "/etc/pass"',
        'published = ["/etc/c.pub"]',
        "repod check",
        "systemctl reload repod",
        "repod keys rotate",
    ]
    assert lines(AFTER, NOT_NEEDED)[0].startswith('cosign = ""')


@pytest.mark.parametrize(
    ("signing", "file"),
    [
        (SIGNING, "/etc/next-key.asc"),
        (Signing(key="/srv/next-key.asc"), "/srv/next-key-2.asc"),
        (
            Signing(key="/srv/k.asc", published=["/srv/next-key.asc.pub", "/srv/next-key-2.asc.pub"]),
            "/srv/next-key-3.asc",
        ),
        (Signing(key="command:/usr/bin/sign-it"), "/etc/repod/next-key.asc"),
    ],
)
def test_the_next_key_lies_beside_the_one_that_signs_and_never_takes_the_place_of_a_key(
    signing: Signing, file: str
) -> None:
    made, named = lines(BEFORE[:1], ALONE, signing=signing)[:2]
    assert made == f"repod keys make {file}"
    assert named.endswith(f'"{file}.pub"]')


def test_of_several_repositories_the_one_that_is_furthest_behind_decides() -> None:
    other = replace(NOT_NEEDED, repository="el8")
    assert lines(AFTER, other, SWITCHED) == ["repod resign el9", "repod keys rotate"]
    assert lines(AFTER, other, SIGNED_ANEW) == []
    assert lines(BEFORE, LEARNT, replace(LEARNING, repository="el8")) == []
    assert lines(AFTER[:1], other, replace(SWITCHED, repository="el7")) == ["repod check"]


def test_without_cosigning_the_step_says_what_that_means_for_hosts() -> None:
    keys = [AFTER[0], replace(AFTER[1], role=PUBLISHED)]
    told = guide([judge(keys, SWITCHED, now=NOW, window=WINDOW)], keys, SIGNING)
    assert "set cosign to that key until it is retired" in told.remarks[0]
