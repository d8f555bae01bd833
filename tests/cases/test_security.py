"""Cases about what an attacker, or a careless neighbour, could do."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pysequoia
import pytest
import rpm_rs
from watchdog.events import FileCreatedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

from repod.config import parse
from repod.errors import Misconfigured
from tests.cases.keyring import PASSPHRASE, keyring
from tests.cases.place import MakePlace, Place
from tests.cases.twins import twins
from tests.lab import headers, keys, processes, rpms
from tests.lab.daemon import Repod
from tests.lab.headers import edit, text
from tests.lab.inboxes import files_below
from tests.lab.keys import Key, end_agent, gnupghome
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until


def _everything(root: Path) -> set[str]:
    return {str(path) for path in root.rglob("*")}


def test_c165_a_name_that_leads_out_of_the_repository_is_refused(place: Place, built: Path) -> None:
    """Name, version, release or arch from the header with a path in it: refused, and no file is made for it."""
    tags = {
        headers.NAME: "../../../tmp/evil",
        headers.VERSION: "1/../../evil",
        headers.RELEASE: "1/../../evil",
        headers.ARCH: "../evil",
    }
    good = rpms.quick(built)
    for number, (tag, value) in enumerate(tags.items()):
        edit(good, built / f"bad{number}.rpm", text(tag, value))
        place.put(built / f"bad{number}.rpm")
    outside = edit(good, built / "outside.rpm", headers.directories("/../../etc/"))
    before = _everything(place.base)
    place.put(outside)
    assert [end.result for end in place.drain()] == ["rejected"] * 5
    made = {path for path in _everything(place.base) - before if not path.startswith(str(place.rejected))}
    assert made == set()
    assert not Path("/tmp/evil").exists()
    codes = [place.reason(f"bad{number}.rpm")["faults"][0]["code"] for number in range(4)]
    assert codes == ["name", "version", "version", "arch"]
    assert place.reason("outside.rpm")["faults"][0]["code"] == "path"


def test_c167_a_symlink_in_the_inbox_publishes_nothing(place: Place, built: Path, tmp_path: Path) -> None:
    """To a readable package outside, to /etc/passwd, to a folder: not followed, and no byte of them is stored."""
    private = rpms.quick(built, "private", files={"/secret": b"do not publish"})
    (tmp_path / "folder").mkdir()
    rpms.quick(tmp_path / "folder", "hidden")
    (place.inbox / "x.rpm").symlink_to(private)
    (place.inbox / "y.rpm").symlink_to("/etc/passwd")
    (place.inbox / "folder").symlink_to(tmp_path / "folder")
    place.put(rpms.quick(built, "good"))
    until(lambda: place.turn() and place.number() > 1 and not (place.inbox / "y.rpm").is_symlink(), 60, "the turn")
    assert list(place.sound()) == ["good-1.0-1.noarch"]
    assert {place.reason(name)["faults"][0]["code"] for name in ("x.rpm", "y.rpm")} == {"symlink"}
    stored = b"".join(files_below(place.store).values()) + b"".join(files_below(place.state).values())
    assert Path("/etc/passwd").read_bytes() not in stored
    assert private.read_bytes()[:512] not in stored
    assert private.exists()
    assert (tmp_path / "folder/hidden-1.0-1.noarch.rpm").exists()


@pytest.mark.parametrize(("mode", "told"), [(0o666, True), (0o660, False), (0o644, False)])
def test_settings_that_anybody_may_change_are_told_of_by_check(
    tmp_path: Path, key_file: Path, mode: int, told: bool
) -> None:
    """They name programs that repod runs. A group of those who care for it may write."""
    repod = Repod(tmp_path, key_file)
    repod.config.chmod(mode)
    said = f"{repod.config} may be changed by other users (mode {mode:04o}); run chmod o-w {repod.config}"
    assert (said in " ".join(repod.cli("check").out.split())) is told


def test_c169_a_passphrase_is_on_no_command_line_in_no_environment_and_in_no_log(
    tmp_path: Path, key_file: Path, built: Path
) -> None:
    """While it signs at log level debug, after an error, and after a wrong passphrase: it occurs nowhere."""
    seen = list[bytes]()
    with keyring(tmp_path, "rsa2048") as (signing, _):
        home, secret = Path(signing.gnupghome), Path(signing.passphrase_file)
        with Repod(tmp_path, key_file, settings={"signing": signing.model_dump()}) as repod:
            dropped = list[Path]()

            def drop() -> None:
                """Enough at once that it signs for a second, so that not every look can fall between two."""
                for name in [f"p{len(dropped) + number}" for number in range(20)]:
                    dropped.append(rpms.quick(built, name).rename(repod.inbox() / f"{name}.rpm"))

            def gpg_was_seen() -> bool:
                """Look once; where all was signed unseen, there is more to sign."""
                seen.extend(_told(repod.pid))
                if len(repod.find_events("package published")) == len(dropped):
                    drop()
                return any(b"--passphrase-fd" in text for text in seen)

            drop()
            until(gpg_was_seen, 120, "a look at gpg")
            (home / "private-keys-v1.d").rename(home / "gone")
            end_agent(home)
            rpms.quick(built, "late").rename(repod.inbox() / "late.rpm")
            until(lambda: repod.find_events("package not taken in, tried again later"), 60, "an error")
            (home / "gone").rename(home / "private-keys-v1.d")
        end_agent(home)
        secret.write_text(f"{PASSPHRASE}-but-wrong\n")
        ended = repod.once()
        assert ended.rc == 2
    told = b"\0".join([*seen, repod.log.read_bytes(), ended.out.encode(), ended.err.encode()])
    assert PASSPHRASE.encode() not in told


def test_c169_the_secret_of_s3_is_in_no_process_that_reads_packages_and_in_no_log(
    s3: Seaweed, tmp_path: Path, key_file: Path, built: Path
) -> None:
    """The daemon has it in its environment; what it starts, and what it says at log level debug, has not."""
    store = f"s3://{s3.bucket()}/a/"
    with Repod(tmp_path, key_file, {"test": {"store": store}}, s3=s3) as repod:
        rpms.quick(built, "one").rename(repod.inbox() / "one.rpm")
        until(lambda: repod.find_events("package published"), 60, "the package to be live")
        started = processes.children(repod.pid)
        names = {" ".join(processes.command(pid)) for pid in started}
        told = [text for pid in started for text in _shown(pid)]
    assert len(started) >= 3, names
    wrong = s3.secret_key[::-1]
    refused = Repod(tmp_path, key_file, {"test": {"store": store}}, s3=s3, env={"AWS_SECRET_ACCESS_KEY": wrong})
    ended = refused.cli("status")
    assert ended.rc == 4
    assert "SignatureDoesNotMatch" in ended.err
    told += [repod.log.read_bytes(), ended.out.encode(), ended.err.encode()]
    for secret in (s3.secret_key, wrong):
        assert secret.encode() not in b"\0".join(told)


def _told(pid: int) -> Iterator[bytes]:
    """Command lines and environments of all processes of a daemon."""
    for process in processes.session(pid) | processes.children(pid):
        yield from _shown(process)


def _shown(pid: int) -> Iterator[bytes]:
    """Command line and environment of a process; nothing where it has ended meanwhile."""
    for what in ("cmdline", "environ"):
        with suppress(OSError):
            yield Path(f"/proc/{pid}/{what}").read_bytes()


def test_c172_of_two_keys_with_one_short_id_only_the_configured_one_counts(
    make_place: MakePlace, built: Path, tmp_path: Path
) -> None:
    """The full fingerprint alone signs and is trusted; a short or a long id in the settings is refused."""
    ours, forged = twins()
    assert ours.fingerprint[-8:] == forged.fingerprint[-8:]
    for short in (ours.fingerprint[-8:], ours.fingerprint[-16:]):
        with pytest.raises(Misconfigured, match="expected a full fingerprint"):
            parse(f'[signing]\nkey = "gpg:{short}"\n[[repository]]\nname="a"\ninbox="i"\nstore="s"\n', tmp_path)
    (tmp_path / "both.asc").write_bytes(forged.public + ours.public)
    with gnupghome() as home:
        for key in (forged, ours):
            keys.gpg(home, "--import", data=key.secret)
        end_agent(home)
        place = make_place(
            {"signing": {"key": f"gpg:{ours.fingerprint}", "gnupghome": str(home)}},
            signed_with=ours,
            acceptance={"signed_by": [ours.fingerprint], "keys": str(tmp_path / "both.asc")},
        )
        evil, good = rpms.quick(built, "evil"), rpms.quick(built, "good")
        for package, key in ((evil, forged), (good, ours)):
            rpm_rs.Package.resign_in_place(str(package), rpm_rs.Signer(key.secret))
        assert [code for code, _ in place.refuse(evil)] == ["signer"]
        place.publish(good)
        assert list(place.sound()) == ["good-1.0-1.noarch"]
        made = pysequoia.Sig.from_bytes((place.store / "repodata/repomd.xml.asc").read_bytes())
        assert (made.issuer_fingerprint or "").upper() == ours.fingerprint
        place.close()


def test_c173_temporary_names_cannot_be_foreseen_and_links_under_them_are_not_followed(
    tmp_path: Path, key: Key, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier run used for its temporary files does not come again; they are readable by repod alone."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    runs = list[set[str]]()
    for name in ("one", "two"):
        base = tmp_path / name
        (base / "tmp").mkdir(parents=True)
        Place(base, key).open().close()  # it makes its folders
        for path in runs[0] if runs else ():
            (base / path).parent.mkdir(0o700, parents=True, exist_ok=True)
            (base / path).symlink_to(victim)
        monkeypatch.setattr(tempfile, "tempdir", str(base / "tmp"))
        with _created(base) as made, Place(base, key) as place:
            for number in range(5):
                place.publish(rpms.quick(built, name, str(number)))
            place.refuse(rpms.quick(built, "bad", arch="sparc"))
        runs.append({path for path in made if not (base / path).exists() and not path.startswith("inbox/test/")})
        open_to_others = {path for path in runs[-1] if made[path] & 0o077 and not _is_closed(base / path, base)}
        # What becomes the reason beside a refused package is no secret.
        assert {path for path in open_to_others if not path.startswith("inbox/rejected/.repod-")} == set()
    assert all(len(run) > 5 for run in runs)
    assert runs[0] & runs[1] == set()
    assert victim.read_bytes() == b"untouched"


def _is_closed(path: Path, base: Path) -> bool:
    """Whether a folder below ``base`` that it lies in lets nobody else in."""
    inner = (folder for folder in path.parents if base in folder.parents and folder.exists())
    return any(not folder.stat().st_mode & 0o077 for folder in inner)


@contextmanager
def _created(base: Path) -> Iterator[dict[str, int]]:
    """Files that are made below ``base``, with their first mode, or 0 where they were gone too soon to see it."""
    made: dict[str, int] = {}

    class Note(FileSystemEventHandler):
        def dispatch(self, event: FileSystemEvent) -> None:
            path = Path(os.fsdecode(event.src_path))
            mode = 0
            with suppress(FileNotFoundError):
                mode = stat.S_IMODE(path.lstat().st_mode)
            made.setdefault(str(path.relative_to(base)), mode)

    observer = InotifyObserver()
    observer.schedule(Note(), str(base), recursive=True, event_filter=[FileCreatedEvent])
    observer.start()
    try:
        yield made
        marker = base / "the end"
        marker.touch()
        until(lambda: made.pop(marker.name, None) is not None, 60, "all events")
        marker.unlink()
    finally:
        observer.stop()
        observer.join()
