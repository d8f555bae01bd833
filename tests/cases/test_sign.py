"""Cases about signing."""

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pysequoia
import pytest
import rpm_rs

from repod.config import Signing, parse
from repod.errors import Misconfigured
from repod.reminder import Reminder
from tests.cases.keyring import keyring
from tests.cases.place import MakePlace, Place
from tests.lab import keys, rpms
from tests.lab.checker import assert_sound
from tests.lab.clients import rpmkeys_check
from tests.lab.daemon import Repod
from tests.lab.daemon import repod as command
from tests.lab.fakes import Clock
from tests.lab.foreign import createrepo
from tests.lab.keys import Key, end_agent, export, generate, gnupghome, make_key
from tests.lab.papers import papers
from tests.lab.signatures import index_issuers, issuers, listed_issuers
from tests.lab.signers import opened, script
from tests.lab.wait import until


def test_c039_a_burst_with_a_protected_key_in_gnupg_is_signed_whole(
    make_place: MakePlace, built: Path, tmp_path: Path
) -> None:
    """120 packages at once, a protected RSA-4096 key, many workers: 120 are signed, none fails."""
    with keyring(tmp_path, "rsa4096") as (signing, found):
        place = make_place({"signing": signing.model_dump(), "workers": {"count": 2}}, signed_with=found)
        place.publish(*(rpms.quick(built, f"p{number}") for number in range(120)))
        assert place.metric("repod_errors_total", kind="unavailable") == 0
        assert len(place.sound()) == 120
        place.close()


def test_c040_a_burst_leaves_an_existing_gnupg_home_as_the_user_had_it(tmp_path: Path) -> None:
    """Without a gpg-agent.conf too, 120 signatures by 16 threads succeed; the user's own files stay as they were."""
    with keyring(tmp_path, "rsa2048") as (signing, _):
        home = Path(signing.gnupghome)
        (home / "gpg.conf").write_text("no-emit-version\ncomment mine\n")
        (home / "notes.txt").write_text("mine\n")
        before = _own_files(home)
        assert "gpg-agent.conf" not in before
        with opened(signing) as signer, ThreadPoolExecutor(16) as threads:
            made = list(threads.map(signer.sign, (f"data {number}".encode() for number in range(120))))
        assert all(made)
        assert _own_files(home) == before


def _own_files(home: Path) -> dict[str, bytes]:
    """Names and contents of all files but gpg's locks and sockets."""
    return {path.name: path.read_bytes() for path in home.rglob("*") if path.is_file() and ".lock" not in path.name}


@pytest.mark.parametrize("kind", ["keyfile", "gpg"])
def test_c041_a_protected_key_without_its_passphrase_stops_the_start(kind: str, tmp_path: Path, built: Path) -> None:
    """Without a terminal to ask on, it ends and says what to set; nothing is published unsigned."""
    with keyring(tmp_path, "rsa2048") as (signing, found):
        file = tmp_path / "key.asc"
        file.write_bytes(found.secret)
        own = {"key": str(file)} if kind == "keyfile" else {"key": signing.key, "gnupghome": signing.gnupghome}
        repod = Repod(tmp_path, file, settings={"signing": own})
        rpms.quick(repod.inbox())
        ended = repod.once()
        assert ended.rc == 2
        assert "is protected by a passphrase and passphrase_file is not set" in ended.err
        assert list(repod.store().rglob("*.rpm")) == []
        assert [path.name for path in repod.inbox().iterdir()] == ["hello-1.0-1.noarch.rpm"]


def test_c043_the_end_of_a_key_is_seen_before_and_stops_publishing(
    make_place: MakePlace, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 days before, a gauge and a warning; once expired nothing is published and nothing is lost."""
    key = make_key(lifetime="20d")
    place = make_place(signed_with=key)
    gauge = "repod_signing_key_expiry_timestamp_seconds"
    expires = place.metrics.registry.get_sample_value(gauge, {"fingerprint": key.fingerprint})
    now = time.time()
    assert expires == pytest.approx(now + 20 * 86400, abs=3600)
    (said,) = place.log.warned("signing key")
    assert "expires in 19 days" in said
    place.publish(rpms.quick(built, "early"))
    index = place.live()
    monkeypatch.setattr(time, "time", lambda: now + 21 * 86400)
    place.put(rpms.quick(built, "late"))
    with pytest.raises(Misconfigured, match=r"expired at .* nothing is published"):
        place.turn()
    assert place.live() == index
    assert place.waiting() == ["late-1.0-1.noarch.rpm"]


def test_c043_an_expired_key_stops_the_start(tmp_path: Path, built: Path) -> None:
    """repod says that the key expired, ends with an error, and leaves store and inbox alone."""
    key_file = tmp_path / "key.asc"
    old = make_key(lifetime="1d", options=("--faked-system-time", "20200101T000000!"))
    key_file.write_bytes(old.secret)
    repod = Repod(tmp_path, key_file)
    rpms.quick(repod.inbox())
    ended = repod.once()
    assert ended.rc == 2
    assert "expired at 2020-01-02" in ended.err
    assert not (repod.store() / "repodata").exists()
    assert len(list(repod.inbox().iterdir())) == 1


def test_c043_every_key_of_hosts_is_told_of_daily_from_30_days_before_its_end(
    make_place: MakePlace, tmp_path: Path
) -> None:
    """The gauge has each; at the start and once a day there is a warning, and an error once it expired."""
    key, other = make_key(), make_key(lifetime="40d")
    (tmp_path / "key.asc").write_bytes(key.secret)
    (tmp_path / "other.pub").write_bytes(other.public)
    signing = {"key": str(tmp_path / "key.asc"), "published": [str(tmp_path / "other.pub")]}
    place = make_place({"signing": signing}, signed_with=key)
    assert place.log.warned("signing key") == []
    gauge = "repod_signing_key_expiry_timestamp_seconds"
    expires = place.metrics.registry.get_sample_value(gauge, {"fingerprint": other.fingerprint})
    assert expires == pytest.approx(time.time() + 40 * 86400, abs=3600)
    clock = Clock(now=time.time())
    reminder = Reminder(place.system.signer.keys, place.metrics, place.log, clock)
    reminder.introduce(key.fingerprint)
    for _ in range(41 * 24):
        clock.now += 3600
        reminder.again()
    said = place.log.warned("signing key")
    assert len(said) == 30
    assert f"{other.fingerprint} (published) expires in 29 days" in said[0]
    assert "expires in 0 days" in said[-1]
    assert len(place.log.errors) == 2
    assert f"{other.fingerprint} (published) expired at" in place.log.errors[0]


@pytest.mark.parametrize("role", ["key", "cosign", "published"])
def test_c043_a_key_that_ends_within_30_days_is_a_fault_of_check(role: str, tmp_path: Path) -> None:
    """Whatever the key is for; a day earlier it is none."""
    long, soon, later = make_key(), make_key(lifetime="29d"), make_key(lifetime="31d")
    (tmp_path / "long.asc").write_bytes(long.secret)
    (tmp_path / "state").mkdir()
    for key, code in ((soon, 2), (later, 0)):
        (tmp_path / "key.asc").write_bytes(key.public if role == "published" else key.secret)
        place = str(tmp_path / "key.asc")
        signing = {"key": str(tmp_path / "long.asc"), role: [place] if role == "published" else place}
        checked = Repod(tmp_path, tmp_path / "long.asc", settings={"signing": signing}).cli("check", "--json")
        assert checked.rc == code, checked.out
        faults = [row["what"] for row in json.loads(checked.out) if row["severity"] == "fault"]
        assert len(faults) == code // 2, faults
        assert all(f"{key.fingerprint} (" in text and "expires in 28 days" in text for text in faults)


def test_c045_hosts_get_both_keys_and_only_the_new_one_signs(tmp_path: Path) -> None:
    """The public key file holds both; what was signed before still verifies with it; new ones are by the new key."""
    old, new = make_key(), make_key()
    for name, data in (("old.asc", old.secret), ("old.pub", old.public), ("new.asc", new.secret)):
        (tmp_path / name).write_bytes(data)
    repod = Repod(tmp_path, tmp_path / "old.asc", settings={"inbox": {"settle": 0}})
    rpms.quick(repod.inbox(), "before")
    assert repod.once().rc == 0
    repod.configure("signing", key="new.asc", published=["old.pub"])
    rpms.quick(repod.inbox(), "after")
    assert repod.once().rc == 0
    for name in ("RPM-GPG-KEY-test", "repodata/repomd.xml.key"):
        keyfile = (repod.store() / name).read_bytes()
        assert [one.fingerprint.upper() for one in pysequoia.Cert.split_bytes(keyfile)] == [
            new.fingerprint,
            old.fingerprint,
        ]
    before, after = (repod.store() / f"Packages/{n[0]}/{n}-1.0-1.noarch.rpm" for n in ("before", "after"))
    assert {one.ok for one in rpmkeys_check(keyfile, before, after).values()} == {True}
    assert (issuers(before), issuers(after)) == ({old.fingerprint}, {new.fingerprint})
    assert index_issuers(repod.store()) == [new.fingerprint]
    assert assert_sound(repod.store(), keyfile).keys() == {"before-1.0-1.noarch", "after-1.0-1.noarch"}
    assert repod.cli("verify", "test").rc == 0


def test_c046_it_is_known_which_key_or_subkey_signs(make_place: MakePlace, built: Path) -> None:
    """The primary key signs where it may; else the subkey, with a warning; issuers are always the key named."""
    with gnupghome() as home:
        both = generate(home, usage="sign")
        keys.add_subkey(home, both)
        bare = generate(home, usage="cert", uid="Cert Only <c@example.com>")
        subkey = keys.add_subkey(home, bare)
        for signed_with, signing in ((export(home, both), both), (export(home, bare), subkey)):
            place = make_place(signed_with=signed_with)
            place.publish(rpms.quick(built))
            said = place.log.told("signing key")
            assert (said["fingerprint"], said["signing_key"]) == (signed_with.fingerprint, signing)
            assert issuers(place.store / "Packages/h/hello-1.0-1.noarch.rpm") == {signing}
            assert index_issuers(place.store) == [signing]
            assert place.sound()
            warned = [text for text in place.log.warned("signing key") if "EL7 cannot verify" in text]
            assert len(warned) == (signing is subkey)


def test_c046_a_key_is_judged_before_it_is_used(tmp_path: Path) -> None:
    """``repod keys lint`` says which key or subkey signs, and which hosts cannot verify that, without any settings."""
    with gnupghome() as home:
        bare = generate(home, usage="cert", uid="Cert Only <c@example.com>")
        subkey = keys.add_subkey(home, bare)
        (tmp_path / "bare.pub").write_bytes(export(home, bare).public)
    (tmp_path / "ed.pub").write_bytes(make_key("ed25519").public)
    (tmp_path / "p256.pub").write_bytes(make_key("nistp256").public)
    told = command("keys", "lint", "--json", *(tmp_path / name for name in ("bare.pub", "ed.pub", "p256.pub")))
    bare_row, ed_row, p256_row = json.loads(told.out)
    assert told.rc == 3
    assert (bare_row["signs"], bare_row["faults"]) == (f"subkey {subkey}", [])
    assert any(text.startswith("el7: a subkey signs") for text in bare_row["refused_by"])
    assert any(text.startswith("el7: the signing key is ed25519") for text in ed_row["refused_by"])
    assert ed_row["signs"] == "the primary key"
    assert "ecdsa" in p256_row["faults"][0]


@pytest.mark.parametrize("profile", ["el7", "amzn2"])
def test_c046_where_hosts_know_the_primary_key_only_it_signs_or_nothing_does(
    profile: str, make_place: MakePlace, built: Path
) -> None:
    """With a signing subkey beside it the primary key signs; where it may not, the start is refused with the reason."""
    with gnupghome() as home:
        both = generate(home, usage="sign")
        keys.add_subkey(home, both)
        bare = generate(home, usage="cert", uid="Cert Only <c@example.com>")
        keys.add_subkey(home, bare)
        place = make_place(profile=profile, signed_with=export(home, both))
        place.publish(rpms.quick(built))
        assert issuers(place.store / "Packages/h/hello-1.0-1.noarch.rpm") == {both}
        assert index_issuers(place.store) == [both]
        with pytest.raises(Misconfigured, match=f"profile {profile}: a subkey signs, and rpm 4.11 knows the primary"):
            make_place(profile=profile, signed_with=export(home, bare))


def test_c047_one_signature_ours_whoever_signed_before(make_place: MakePlace, key: Key, built: Path) -> None:
    """Ours already: bytes unchanged. A foreigner's: replaced by ours. That again: the same bytes as before."""
    place = make_place()
    ours, foreign = rpms.quick(built, "ours"), rpms.quick(built, "foreign")
    rpm_rs.Package.resign_in_place(str(ours), rpm_rs.Signer(key.secret))
    rpm_rs.Package.resign_in_place(str(foreign), rpm_rs.Signer(make_key().secret))
    data = ours.read_bytes()
    place.copy(foreign)
    place.put(ours)
    assert [end.result for end in place.drain()] == ["accepted"] * 2
    assert (place.store / "Packages/o/ours-1.0-1.noarch.rpm").read_bytes() == data
    published = place.store / "Packages/f/foreign-1.0-1.noarch.rpm"
    assert issuers(published) == {key.fingerprint}
    assert rpmkeys_check(key.public, published)[published].text == "digests signatures OK"
    once = published.read_bytes()
    place.copy(foreign)
    place.copy(published, "again.rpm")
    assert [end.result for end in place.drain()] == ["duplicate"] * 2
    assert published.read_bytes() == once


def test_c047_what_is_listed_is_signed_anew_once(tmp_path: Path) -> None:
    """``repod resign``: ours stays byte for byte; a foreigner's gets one signature, ours; again: the same bytes."""
    ours, foreign = make_key(), make_key()
    (tmp_path / "key.asc").write_bytes(ours.secret)
    repod = Repod(tmp_path, tmp_path / "key.asc", settings={"inbox": {"settle": 0}})
    rpms.quick(repod.inbox(), "ours")
    assert repod.once().rc == 0
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    rpm_rs.Package.resign_in_place(str(rpms.quick(theirs, "foreign")), rpm_rs.Signer(foreign.secret))
    rpms.nfpm(theirs, "unsigned", "1.0.0")
    createrepo(theirs)
    assert repod.cli("adopt", "test", theirs).rc == 0
    before = (repod.store() / "Packages/o/ours-1.0-1.noarch.rpm").read_bytes()
    assert repod.cli("check").rc == 0
    assert "signed by" in repod.cli("check").out
    assert repod.cli("verify", "test").rc == 0

    dry = repod.cli("resign", "test", "--dry-run", "--json")
    (row,) = json.loads(dry.out)
    assert (row["packages"], row["signed_by"]) == (2, {foreign.fingerprint: 1, "nobody": 1})
    assert repod.cli("resign", "test", "--why", "adopted").rc == 0
    assert (repod.store() / "Packages/o/ours-1.0-1.noarch.rpm").read_bytes() == before
    assert listed_issuers(repod.store()) == {ours.fingerprint}
    files = {path: path.read_bytes() for path in repod.store().rglob("*.rpm")}
    assert len(files) == 5
    assert assert_sound(repod.store(), ours.public).keys() >= {"ours-1.0-1.noarch", "foreign-1.0-1.noarch"}
    again = repod.cli("resign", "test")
    assert (again.rc, "nothing to do" in again.out) == (0, True)
    assert {path: path.read_bytes() for path in repod.store().rglob("*.rpm")} == files
    assert "adopted" in repod.cli("history", "test").out


def test_c049_a_hard_link_elsewhere_keeps_its_bytes(place: Place, built: Path) -> None:
    """What lies in the inbox is a second name of a file in an archive; the archive stays as it was."""
    archived = rpms.quick(built)
    before = _sha256(archived)
    os.link(archived, place.inbox / "hello.rpm")
    place.drain()
    assert _sha256(archived) == before
    assert _sha256(place.store / "Packages/h/hello-1.0-1.noarch.rpm") != before
    assert list(place.sound()) == ["hello-1.0-1.noarch"]


def test_c051_a_signer_that_damages_what_it_makes_publishes_nothing(
    make_place: MakePlace, key: Key, built: Path, tmp_path: Path
) -> None:
    """One byte flipped, exit status 0: an error is counted and the package waits; once it is whole again, published."""
    with gnupghome() as home:
        keys.gpg(home, "--import", data=key.secret)
        (tmp_path / "public.asc").write_bytes(key.public)
        broken = tmp_path / "broken"
        # Its complement: a byte of a fixed value may be there already.
        byte = "$(printf '%03o' $((255 - $(od -An -tu1 -j100 -N1 $made))))"
        flip = f'printf %b "\\\\0{byte}" | dd of=$made bs=1 seek=100 conv=notrunc status=none'
        words = f"gpg --homedir {home} --batch --local-user {key.fingerprint}! --detach-sign"
        lines = ("made=$(mktemp)", f"{words} > $made || exit", f"[ ! -e {broken} ] || {flip}", "cat $made", "rm $made")
        program = script(tmp_path, "\n".join(lines))
        place = make_place({"signing": {"key": f"command:{program}", "public_key": str(tmp_path / "public.asc")}})
        index = place.live()
        broken.touch()
        place.put(rpms.quick(built))
        until(lambda: place.turn().outcomes, 60, "the package to be looked at")
        assert place.waiting() == ["hello-1.0-1.noarch.rpm"]
        assert list(place.store.rglob("*.rpm")) == []
        assert place.live() == index
        assert place.metric("repod_errors_total", kind="other") == 1
        broken.unlink()
        assert [end.result for end in place.drain()] == ["accepted"]
        assert list(place.sound()) == ["hello-1.0-1.noarch"]
        place.close()


def test_c053_the_signature_of_the_index_is_over_its_final_bytes(place: Place, built: Path) -> None:
    """After each publish, also of groups, modules and advisories, the .asc verifies over the stored repomd.xml."""
    for number in range(3):
        place.publish(rpms.quick(built, version=f"{number}"))
        assert len(place.sound()) == number + 1
        for name, data in papers(f"hello-{number}-1.noarch").items():
            place.deliver({name: data})
            assert len(place.sound()) == number + 1
    for kind in (b"group", b"modules", b"updateinfo"):
        assert b'<data type="' + kind + b'">' in place.live()


def test_c054_a_long_state_directory_works_and_a_long_gnupg_home_is_named(
    tmp_path: Path, key: Key, built: Path
) -> None:
    """With a key file any path will do; where gpg's sockets do not fit, the message gives the length."""
    state = tmp_path / ("s" * 120)
    with Place(tmp_path, key, {"state_dir": str(state)}) as place:
        place.publish(rpms.quick(built))
        assert list(place.sound()) == ["hello-1.0-1.noarch"]
    home = tmp_path / ("h" * 120)
    with gnupghome() as short:
        keys.gpg(short, "--import", data=key.secret)
        end_agent(short)
        shutil.copytree(short, home, ignore=shutil.ignore_patterns("S.*"))
    home.chmod(0o700)
    # Where there is a /run/user/UID, gpg puts its sockets there.
    wanted = f"has {len(os.fsencode(home))} bytes, and gpg-agent cannot open its sockets"
    answer = _signed_or_why(Signing(key=f"gpg:{key.fingerprint}", gnupghome=str(home)))
    assert answer == "signed" or wanted in answer


def _signed_or_why(signing: Signing) -> str:
    try:
        with opened(signing) as signer:
            return "signed" if signer.sign(b"data") else "empty"
    except Misconfigured as error:
        return str(error)


def test_c055_of_two_keys_with_one_user_id_the_one_named_signs(make_place: MakePlace, built: Path) -> None:
    """Every signature is by the fingerprint in the settings; a user id in its place is refused."""
    with gnupghome() as home:
        both = [export(home, generate(home, options=("--yes",))) for _ in range(2)]
        end_agent(home)
        for wanted in both:
            place = make_place(
                {"signing": {"key": f"gpg:{wanted.fingerprint}", "gnupghome": str(home)}}, signed_with=wanted
            )
            place.publish(rpms.quick(built))
            assert issuers(place.store / "Packages/h/hello-1.0-1.noarch.rpm") == {wanted.fingerprint}
            assert index_issuers(place.store) == [wanted.fingerprint]
            place.close()
    with pytest.raises(Misconfigured, match="expected a full fingerprint"):
        parse(f'[signing]\nkey = "gpg:{keys.UID}"\n[[repository]]\nname="a"\ninbox="i"\nstore="s"\n', Path("/"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("mode", "doubt"), [(0o600, ""), (0o640, ""), (0o644, "read"), (0o666, "changed")])
def test_secrets_that_other_users_may_read_or_change_are_told_of_by_check(
    tmp_path: Path, key: Key, mode: int, doubt: str
) -> None:
    """The key and the secret of a hook; a group may read, as containers and systemd hand secrets to services."""
    secret, hook = tmp_path / "key.asc", tmp_path / "hook.secret"
    for file, data in ((secret, key.secret), (hook, b"a secret of no weight")):
        file.write_bytes(data)
        file.chmod(mode)
    hooks = [{"name": "ci", "url": "https://127.0.0.1:9/", "secret": str(hook)}]
    repod = Repod(tmp_path, secret, settings={"hook": hooks})
    (tmp_path / "state").mkdir()
    told = repod.cli("check").out
    for where, file in (("signing", secret), ("hook ci", hook)):
        lines = [line for line in told.splitlines() if str(file) in line and "other users" in line]
        assert len(lines) == bool(doubt), told
        if doubt:
            assert lines[0].startswith("warning"), told
            assert f"may be {doubt} by other users (mode {mode:04o}); run chmod 600 {file}" in lines[0], where


def test_a_signing_program_that_is_killed_is_told_as_such(tmp_path: Path, key: Key) -> None:
    """By its signal, not by a negative exit status; the package stays in the inbox."""
    program = tmp_path / "sign-it"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    public = tmp_path / "public.asc"
    public.write_bytes(key.public)
    settings = {"signing": {"key": f"command:{program}", "public_key": str(public)}}
    repod = Repod(tmp_path, public, settings=settings)
    rpms.quick(repod.inbox())
    done = repod.once()
    assert done.rc == 2
    assert "failed with signal 9" in done.err
    assert len(list(repod.inbox().iterdir())) == 1
