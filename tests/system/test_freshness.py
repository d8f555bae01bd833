"""What stands between repository and hosts is found out by ``repoctl verify``: mirrors that are frozen, put back, mixed
or forked, statements of others, keys of others, servers without end; and a repository that moves is no finding."""

import itertools
import json
import shutil
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repod.client.buckets import S3
from repod.client.fetching import Fetching
from repod.client.mirrors import How, look
from repod.client.trust import from_file
from repod.client.verdict import Demands
from repod.client.watermark import Watermarks
from repod.signing.opening import OpenSigner
from tests.lab import signers
from tests.lab.crashing import crash
from tests.lab.daemon import Ended, Repod
from tests.lab.httpd import serving
from tests.lab.keys import Key, make_key
from tests.lab.origins import VALID, Origin, origin, signing
from tests.lab.repoctl import answered
from tests.lab.rpms import quick
from tests.lab.wait import until

_STATEMENT = "repodata/statement.json"
_INDEX = "repodata/repomd.xml"


@pytest.fixture(scope="module")
def pinned() -> Key:
    """The key of the origin; Ed25519, which signs at once."""
    return make_key("ed25519")


@pytest.fixture(scope="module")
def signer(pinned: Key, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSigner]:
    """What signs with it."""
    path = tmp_path_factory.mktemp("pinned") / "key.asc"
    path.write_bytes(pinned.secret)
    with signing(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSigner]:
    """What signs with the key of an attacker."""
    path = tmp_path_factory.mktemp("stranger") / "key.asc"
    path.write_bytes(make_key("ed25519", uid="Somebody else <e@example.com>").secret)
    with signing(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def three(signer: OpenSigner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three generations, to be copied."""
    with origin(tmp_path_factory.mktemp("three") / "origin", signer) as made:
        made.publish("a-1-1.noarch")
        made.publish("b-1-1.noarch")
        return made.root


@pytest.fixture
def site(tmp_path: Path, signer: OpenSigner, three: Path) -> Iterator[Origin]:
    """Three generations."""
    shutil.copytree(three, tmp_path / "origin")
    with origin(tmp_path / "origin", signer) as opened:
        yield opened


@pytest.fixture
def verify(tmp_path: Path, pinned: Key) -> Callable[..., Ended]:
    """``repoctl verify`` with the key pinned, a state of its own, and no patience."""

    def run(*words: str | Path) -> Ended:
        pin = () if "--key" in words else ("--key", pinned.fingerprint)
        return answered("repoctl", "verify", *words, *pin, "--state", tmp_path / "seen", "--wait", "0s", env={})

    return run


def code(ended: Ended) -> tuple[int, str]:
    """The exit code, and the word that the first line begins with."""
    return ended.rc, ended.out.partition(":")[0]


def stated(store: Path) -> int:
    """The generation that the statement is about."""
    return int(json.loads(json.loads((store / _STATEMENT).read_text())["document"])["generation"])


def later(folder: Path, key: Key, tmp_path: Path, seconds: float) -> list[str]:
    """What is found by somebody whose clock is ahead."""
    pin = tmp_path / "pin.asc"
    pin.write_bytes(key.public)
    how = How(
        fetcher=Fetching(S3()),
        trust=lambda _url: (from_file(pin, time.time()), False),
        marks=Watermarks(tmp_path / "later"),
        demands=Demands(max_age=3600),
        seconds=0,
        deadline=60,
    )
    (found,) = look([f"{folder}/"], how, lambda: time.time() + seconds)
    return [finding.code.word for finding in found.findings]


# ---------------------------------------------------------------- what is fresh


def test_a_fresh_mirror_is_one_line_and_nothing_else(site: Origin, verify: Callable[..., Ended]) -> None:
    with serving(site.root) as url:
        ended = verify(url)
    assert (ended.rc, ended.err) == (0, "")
    assert ended.out.startswith(f"fresh: {url}/: apps generation 3, stated ")
    again = json.loads(verify(site.root, "--json", "--name", "apps", "--since", "3").out)
    assert [(one["fresh"], one["generation"], one["findings"]) for one in again] == [(True, 3, [])]


def test_without_a_pin_the_key_of_the_first_look_counts_from_then_on(
    site: Origin, stranger: OpenSigner, tmp_path: Path
) -> None:
    words = ("verify", tmp_path / "mirror", "--state", tmp_path / "seen", "--wait", "0s")
    site.copied(tmp_path / "mirror")
    first = answered("repoctl", *words, env={})
    assert (first.rc, f"trusted on first use: {site.signer.fingerprint}" in first.err) == (0, True)
    with origin(tmp_path / "other", stranger) as other:
        for number in range(3):
            other.publish(f"evil-{number}-1.noarch")
        other.copied(tmp_path / "mirror")
    second = answered("repoctl", *words, env={})
    assert code(second) == (1, "wrong key")
    assert f"pinned is {site.signer.fingerprint}" in second.out


def test_mirrors_are_compared_with_the_origin_by_generations_and_time(
    site: Origin, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    published = [site.publish("c-1-1.noarch")]
    behind = site.copied(tmp_path / "behind")
    published.append(site.publish("d-1-1.noarch"))
    level = site.copied(tmp_path / "level")
    rows = json.loads(verify(site.root, level, behind, "--json").out)
    older, newer = (generation.time for generation in published)
    assert [row["stands"] for row in rows] == [None, "level", f"1 generation, {newer - older} s behind"]
    assert [row["fresh"] for row in rows] == [True, True, True]


def test_a_hundred_publishes_one_right_after_the_other_give_no_alarm(site: Origin, pinned: Key, tmp_path: Path) -> None:
    ended = threading.Event()
    pin = tmp_path / "pin.asc"
    pin.write_bytes(pinned.public)
    found: list[tuple[int, list[str]]] = []
    fetcher = Fetching(S3())

    def publish() -> None:
        for number in itertools.count():
            # Looks that are slow get more to look at; where there are none any more, that is told elsewhere.
            if (number >= 100 and len({one for one, _ in found}) >= 5) or ended.is_set():
                break
            site.publish(f"p{number}-1-1.noarch")
            time.sleep(0.02)  # index and signature are two reads: without any pause a slow reader hardly gets a pair
        ended.set()

    with serving(site.root) as url:
        how = How(
            fetcher=fetcher,
            trust=lambda _url: (from_file(pin, time.time()), False),
            marks=Watermarks(tmp_path / "marks"),
            demands=Demands(name="apps"),
            seconds=60,  # on a busy machine a reader needs many tries to get an index with its own signature
            deadline=90,
        )
        writer = threading.Thread(target=publish)
        writer.start()
        try:
            while not ended.is_set():
                (one,) = look([f"{url}/"], how, time.time)
                number = one.statement.generation if one.statement else 0
                found.append((number, [*map(str, one.findings), *one.notes]))
        finally:
            ended.set()
            writer.join()
            fetcher.close()
    assert [texts for _, texts in found if texts] == []
    assert len({number for number, _ in found}) >= 5
    assert [number for number, _ in found] == sorted(number for number, _ in found)


@pytest.mark.parametrize("kind", ["gpg", "command"])
def test_whatever_signs_a_later_process_goes_on_with_what_an_earlier_one_published(
    kind: str, pinned: Key, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    with signers.settings(kind, pinned, tmp_path / "signer") as settings:
        for name in ("a", "b"):
            with signers.opened(settings) as opened, origin(tmp_path / "origin", opened) as site:
                site.publish(f"{name}-1-1.noarch")
    assert code(verify(tmp_path / "origin", "--package", "a", "--package", "b")) == (0, "fresh")


# ---------------------------------------------------------------- what an attacker does with the bucket


def _delete(mirror: Path, _old: Path) -> None:
    (mirror / _STATEMENT).unlink()


def _replay(mirror: Path, old: Path) -> None:
    shutil.copyfile(old / _STATEMENT, mirror / _STATEMENT)


def _old_index(mirror: Path, old: Path) -> None:
    for name in (_INDEX, f"{_INDEX}.asc"):
        shutil.copyfile(old / name, mirror / name)


def _old_metalink(mirror: Path, old: Path) -> None:
    shutil.copyfile(old / "metalink.xml", mirror / "metalink.xml")


def _alter(mirror: Path, _old: Path) -> None:
    path = mirror / _STATEMENT
    path.write_text(path.read_text().replace('generation\\": 3', 'generation\\": 4'))


def _no_signature(mirror: Path, _old: Path) -> None:
    (mirror / f"{_INDEX}.asc").unlink()


def _garbage(mirror: Path, _old: Path) -> None:
    (mirror / _STATEMENT).write_bytes(b"[" * 60_000)


def _rollout(mirror: Path, _old: Path) -> None:
    """Another document that the same key signed."""
    held = {"format": 1, "document": (mirror / _INDEX).read_text()}
    held["signature"] = (mirror / f"{_INDEX}.asc").read_text()
    (mirror / _STATEMENT).write_text(json.dumps(held))


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (_delete, "no statement"),
        (_replay, "mixed"),
        (_old_index, "mixed"),
        (_old_metalink, "mixed"),
        (_alter, "bad signature"),
        (_no_signature, "bad signature"),
        (_garbage, "unreadable"),
        (_rollout, "unreadable"),
    ],
)
def test_what_who_can_write_the_bucket_does_to_it_is_found_at_the_first_look(
    attack: Callable[[Path, Path], None], word: str, site: Origin, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    old = site.copied(tmp_path / "old")
    site.publish("c-1-1.noarch")
    mirror = site.copied(tmp_path / "mirror")
    if attack is _alter:
        mirror = old
    attack(mirror, old)
    assert code(verify(mirror)) == (1, word)


def test_a_frozen_mirror_is_found_when_its_statement_ends_and_an_old_one_by_its_age(
    site: Origin, pinned: Key, tmp_path: Path
) -> None:
    assert later(site.root, pinned, tmp_path, 0) == []
    assert later(site.root, pinned, tmp_path, 3700) == ["too old"]
    assert later(site.root, pinned, tmp_path, VALID + 1) == ["expired"]
    assert later(site.root, pinned, tmp_path, -3600) == ["clock"]


def test_a_mirror_that_is_put_back_is_rolled_back_and_stays_so_until_it_catches_up(
    site: Origin, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    old = site.copied(tmp_path / "old")
    site.publish("c-1-1.noarch")
    site.copied(mirror)
    assert code(verify(mirror)) == (0, "fresh")
    shutil.rmtree(mirror)
    shutil.copytree(old, mirror)
    for _ in range(2):
        assert code(verify(mirror)) == (1, "rolled back")
    assert code(verify(old)) == (0, "fresh")
    assert code(verify(old, "--since", "4")) == (1, "rolled back")
    site.publish("d-1-1.noarch")
    site.copied(mirror)
    assert code(verify(mirror)) == (0, "fresh")


def test_a_daemon_that_was_led_to_write_history_anew_is_found_by_who_knows_the_old_one(
    site: Origin, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    """The attacker puts pointer, records and views of the bucket back; the daemon then signs another generation 4."""
    old = site.copied(tmp_path / "old")
    site.publish("c-1-1.noarch")
    assert code(verify(site.root)) == (0, "fresh")
    true = site.copied(tmp_path / "true")
    shutil.rmtree(site.root)
    shutil.copytree(old, site.root)
    daemon = site.daemon()
    site.publish("evil-1-1.noarch", daemon)
    assert code(verify(site.root)) == (1, "forked")
    site.publish("d-1-1.noarch", daemon)
    assert code(verify(site.root)) == (1, "forked")
    both = verify(true, site.root, "--state", tmp_path / "nothing")
    assert (both.rc, "forked: " in both.out, "two histories" in both.out) == (1, True, True)


def test_a_statement_of_another_repository_by_the_same_key_does_not_count(
    site: Origin, signer: OpenSigner, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    with origin(tmp_path / "tools", signer, "tools") as other:
        other.publish("t-1-1.noarch")
    assert code(verify(tmp_path / "tools", "--name", "apps")) == (1, "wrong repository")
    assert code(verify(site.root, tmp_path / "tools")) == (1, "fresh")
    assert code(verify(tmp_path / "tools")) == (0, "fresh")
    shutil.copyfile(tmp_path / "tools" / _STATEMENT, site.root / _STATEMENT)
    assert code(verify(site.root)) == (1, "mixed")


def test_a_repository_by_another_key_is_that_of_a_wrong_key_whatever_key_lies_beside_it(
    site: Origin, stranger: OpenSigner, verify: Callable[..., Ended], pinned: Key, tmp_path: Path
) -> None:
    with origin(tmp_path / "evil", stranger) as evil:
        evil.publish("e-1-1.noarch")
    assert code(verify(tmp_path / "evil")) == (1, "wrong key")
    shutil.copyfile(site.root / "repodata/repomd.xml.key", tmp_path / "evil/repodata/repomd.xml.key")
    assert code(verify(tmp_path / "evil")) == (1, "wrong key")
    (tmp_path / "pin.asc").write_bytes(pinned.public)
    assert code(verify(tmp_path / "evil", "--key", tmp_path / "pin.asc")) == (1, "wrong key")


def test_a_package_that_is_not_listed_or_whose_file_is_gone_from_the_mirror_is_missed(
    site: Origin, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    mirror = site.copied(tmp_path / "mirror")
    unlisted = verify(mirror, "--package", "nope")
    assert (code(unlisted), "no build of nope is listed" in unlisted.out) == ((1, "package missing"), True)
    assert code(verify(mirror, "--package", "a", "--package", "b")) == (0, "fresh")
    (file,) = mirror.glob("Packages/**/a-1-1.noarch.rpm")
    file.unlink()
    gone = verify(mirror, "--package", "a")
    assert (code(gone), file.name in gone.out) == ((1, "package missing"), True)
    assert code(verify(mirror, "--package", "b")) == (0, "fresh")


def test_what_was_seen_is_not_lost_in_silence(site: Origin, verify: Callable[..., Ended], tmp_path: Path) -> None:
    assert code(verify(site.root)) == (0, "fresh")
    (mark,) = (tmp_path / "seen").glob("*.json")
    mark.write_text("{")
    damaged = verify(site.root)
    assert (damaged.rc, f"{mark} cannot be read" in damaged.err) == (2, True)


def test_a_repository_of_the_settings_is_looked_at_where_they_say_and_never_taken_for_a_folder(
    site: Origin, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    settings = tmp_path / "repoctl.toml"
    settings.write_text(f'[repository.apps]\nurl = "{site.root}"\n[repository.nowhere]\n')
    assert verify("apps", "-c", settings).out.startswith(f"fresh: {site.root}/: apps generation 3")
    lost = verify("nowhere", "-c", settings)
    assert (lost.rc, lost.out) == (2, "")
    assert "[repository.nowhere] url is empty" in lost.err


# ---------------------------------------------------------------- servers


def test_a_server_that_sends_a_byte_now_and_then_for_ever_is_given_up(verify: Callable[..., Ended]) -> None:
    ended = threading.Event()

    def trickle(listener: socket.socket) -> None:
        try:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
                while not ended.wait(0.05):
                    peer.sendall(b"x")
        except OSError:
            return  # it hung up

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=trickle, args=(listener,))
        server.start()
        found = verify(f"http://127.0.0.1:{listener.getsockname()[1]}/", "--timeout", "1s")
        ended.set()
        server.join()
    assert code(found) == (4, "unreachable")


def test_a_server_that_answers_without_end_is_left_after_what_such_a_file_may_hold(
    site: Origin, verify: Callable[..., Ended], tmp_path: Path
) -> None:
    mirror = site.copied(tmp_path / "mirror")
    with (mirror / _STATEMENT).open("wb") as file:
        file.truncate(1 << 32)  # of zeros, which take no room
    ended = verify(mirror)
    assert (code(ended), "expected at most 65536 bytes" in ended.out) == ((4, "unreachable"), True)


def test_a_daemon_serves_its_statement_uncached_keeps_it_fresh_and_heals_what_was_left_halfway(
    tmp_path: Path, key: Key, key_file: Path, verify: Callable[..., Ended]
) -> None:
    """It is killed when the live index is new and the statement is not; then the statement is lost, then forged."""
    pin = ("--key", key.fingerprint)
    with Repod(tmp_path / "d", key_file, {"apps": {"freshness": {"valid": "10m"}}}) as daemon:
        until(lambda: daemon.find_events("opened"), 30, "the repository")
        quick(daemon.inbox("apps"), "hello")
        until(lambda: daemon.find_events("package published"), 30, "the package")
        url = f"{daemon.url}/repos/apps/"
        assert code(verify(url, *pin, "--package", "hello", "--wait", "60s")) == (0, "fresh")
        with urllib.request.urlopen(url + _STATEMENT, timeout=60) as answer:
            page = answer.read()
            assert (answer.headers["Cache-Control"], answer.headers["Content-Type"]) == ("no-cache", "application/json")
        expires = json.loads(json.loads(page)["document"])["expires"]
        shown = answered("repod", "status", "--json", "-c", daemon.config, env={}).out
        assert json.loads(shown)[0]["fresh_until"] == expires
        assert b"repod_statement_expiry_timestamp_seconds{" in daemon.get("/metrics")[1]
    store = daemon.store("apps")
    quick(daemon.inbox("apps"), "more")
    assert crash(daemon, "statement.json", "run").returncode == -signal.SIGKILL
    assert (b"<revision>3<" in (store / _INDEX).read_bytes(), stated(store)) == (True, 2)
    with daemon:
        until(lambda: daemon.find_events("opened"), 30, "the repository")
        assert stated(store) == 3
        assert code(verify(store, *pin, "--package", "more")) == (0, "fresh")
    (store / _STATEMENT).unlink()
    assert code(verify(store, *pin)) == (1, "no statement")
    assert daemon.once().rc == 0
    assert code(verify(store, *pin)) == (0, "fresh")
    held = json.loads((store / _STATEMENT).read_text())
    (store / _STATEMENT).write_text(json.dumps(held | {"document": "{}"}))
    mended = answered("repod", "verify", "--repair", "-c", daemon.config, "apps", env={})
    assert (mended.rc, _STATEMENT in mended.out) == (0, True)
    assert code(verify(store, *pin)) == (0, "fresh")
