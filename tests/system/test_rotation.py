"""One key takes the place of another under real hosts: at no moment does one that knows the old key, or both, fail.

Found by trying, and held here: librepo 1.14 takes an index if any of its signatures is by a key that it
knows; libzypp 17.25 looks for the key of the first signature only, so that of the cosigning key comes
first. A key file with two armored certificates is imported whole by dnf; zypper imports of it what the
index is signed by. dnf -y fetches the key file again when a signature is by a key that it does not know.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.lab.clients import Completed, Dnf, Zypper, choosing, run
from tests.lab.daemon import Repod
from tests.lab.frozen_check import assert_whole
from tests.lab.httpd import serving
from tests.lab.keys import Key, make_key
from tests.lab.rpms import quick, tool
from tests.lab.signatures import listed_issuers, turned
from tests.lab.wait import until

OLD, NEW = "old.asc", "new.asc"


@pytest.fixture(scope="module")
def pair() -> tuple[Key, Key]:
    """The old key and the new one."""
    return make_key(uid="Old <old@example.com>"), make_key(uid="New <new@example.com>")


@pytest.fixture
def repod(tmp_path: Path, pair: tuple[Key, Key]) -> Iterator[Repod]:
    """A daemon whose keys lie beside its settings; only the old one is in them yet."""
    for name, key in zip((OLD, NEW), pair, strict=True):
        (tmp_path / name).write_bytes(key.secret)
        (tmp_path / name).chmod(0o600)
        (tmp_path / f"{name}.pub").write_bytes(key.public)
    (tmp_path / "www").mkdir()
    # Commands beside the daemon must know where hosts find the repository, too.
    with serving(tmp_path / "www") as url, Repod(tmp_path, tmp_path / OLD, {"test": {"url": f"{url}/test/"}}) as daemon:
        daemon.unsound.add("test")  # older generations have the old key's signature only; the newest is looked at here
        yield daemon


def _publish(repod: Repod, name: str, version: str = "1.0") -> None:
    folder = repod.base / "built"
    folder.mkdir(exist_ok=True)
    package = quick(folder, name, version)
    shutil.move(package, repod.inbox() / package.name)
    until(lambda: repod.find_events("package published", file=package.name), 60, f"{package.name} to be published")


def _set(repod: Repod, key: str, *, window: str = "0s", **more: object) -> None:
    """Write ``[signing]`` and let the daemon read it, and give hosts by it what they need."""
    before = len(repod.find_events("opened"))
    repod.configure("signing", key=key, window=window, **more)
    repod.reload()
    until(lambda: len(repod.find_events("opened")) > before, 60, "the repository to be opened with them")


def _phase(repod: Repod) -> str:
    """The phase that ``repod keys rotate`` names; it must not call anything too early."""
    told = repod.cli("keys rotate")
    assert told.rc == 0, told.out + told.err
    return told.out.partition("next (")[2].partition(")")[0]


def _fine(*done: Completed) -> None:
    for one in done:
        assert one.rc == 0, one.out


def _works(host: Dnf | Zypper, *packages: str) -> None:
    """The host reads the repository anew, installs these and installs them again, all signatures checked."""
    if isinstance(host, Zypper):
        _fine(host.run("refresh", "--force"), host.run("install", *packages), host.run("install", "--force", *packages))
    else:
        _fine(host.run("--refresh", "makecache"), host.run("install", *packages), host.run("reinstall", *packages))


def _unattended(host: Dnf | Zypper) -> Completed:
    """The host reads the repository anew, and nobody says yes to a key."""
    if isinstance(host, Zypper):
        return run([tool("zypper"), "--root", host.root, "--non-interactive", "refresh", "--force"], host.root)
    root = host.root
    sets = [
        f"--setopt={name}={value}"
        for name, value in {
            "reposdir": host.repos,
            "cachedir": root / "var/cache/dnf",
            "logdir": root / "var/log",
            "varsdir": root / "etc/dnf/vars",
            "persistdir": root / "var/lib/dnf",
        }.items()
    ]
    words = [tool("dnf"), "--installroot", root, "-c", root / "etc/dnf/dnf.conf", "--releasever=9", "--noplugins"]
    return run([*words, *sets, "--assumeno", "--refresh", "makecache"], root)


class Hosts:
    """Hosts that met the repository at different times."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def dnf(self, name: str, repo: str, form: str = "metalink") -> Dnf:
        """A host with dnf that reads the repository in this form."""
        host: Dnf = self._stack.enter_context(Dnf(self._folder / name, choosing(repo, form)))
        return host

    def zypper(self, name: str, repo: str) -> Zypper:
        """A host with zypper."""
        host: Zypper = self._stack.enter_context(Zypper(self._folder / name, choosing(repo, "baseurl")))
        return host


@contextmanager
def _hosts(folder: Path) -> Iterator[Hosts]:
    with ExitStack() as stack:
        yield Hosts(folder, stack)


def _keys(host: Dnf | Zypper) -> int:
    """How many keys the host's rpm knows."""
    return host.rpm("-q", "gpg-pubkey").out.count("gpg-pubkey-")


def test_hosts_with_the_old_key_or_both_work_at_every_phase(
    repod: Repod, tmp_path: Path, pair: tuple[Key, Key]
) -> None:
    old, new = pair
    with _hosts(tmp_path / "hosts") as hosts:
        for name in ("a", "b", "c", "d", "e"):
            _publish(repod, name)
        repo = repod.repo_file()
        learnt_old = hosts.dnf("old", repo), hosts.dnf("old-live", repo, "baseurl"), hosts.zypper("zypper", repo)
        stale = hosts.dnf("stale", repo)
        for host in (*learnt_old, stale):
            _works(host, "a")
            assert _keys(host) == 1
        assert _phase(repod) == "steady"

        _set(repod, OLD, published=[f"{NEW}.pub"], window="1h")
        assert _phase(repod) == "window"
        learnt_both = hosts.dnf("both", repo)
        _works(learnt_both, "a")
        assert _keys(learnt_both) == 2
        for host in learnt_old:
            _works(host, "b")
        _set(repod, OLD, published=[f"{NEW}.pub"])
        assert _phase(repod) == "switch"

        _set(repod, NEW, cosign=OLD)
        assert _phase(repod) == "resign"
        _publish(repod, "new")
        _publish(repod, "a", "2.0")
        assert_whole(repod.store(), old.public + b"\n" + new.public)
        for host in (*learnt_old, learnt_both):
            assert _unattended(host).rc == 0  # whoever knows one of the keys reads the index
            _works(host, "new", "c")
            _fine(host.run("update" if isinstance(host, Zypper) else "upgrade", "a"))
            assert "a-2.0-1.noarch" in host.installed()

        resigned = repod.cli("resign", "test")
        assert resigned.rc == 0, resigned.err
        assert "signed 5 of 7 packages" in resigned.out, resigned.out
        assert _phase(repod) == "wait"
        assert_whole(repod.store(), new.public + b"\n" + old.public)
        # It holds metadata from before: the files that these name are there.
        _fine(stale.run("install", "b", "c"), stale.run("reinstall", "b"))
        for host in (*learnt_old, learnt_both):
            assert _unattended(host).rc == 0
            _works(host, "d")

        _set(repod, NEW)
        _publish(repod, "last")
        assert_whole(repod.store(), new.public)
        assert repod.cli("keys rotate").rc == 3  # metadata of before the change may still be held for three days
        for host in (*learnt_old, learnt_both, stale):
            _works(host, "last", "e")
        for host in (hosts.dnf("fresh", repo), hosts.zypper("fresh-zypper", repo)):
            _works(host, "a", "new", "last")
            assert _keys(host) == 1
        assert listed_issuers(repod.store()) == {new.fingerprint}


def test_the_old_key_is_let_go_when_nothing_needs_it_any_more(repod: Repod, pair: tuple[Key, Key]) -> None:
    """One generation is kept, and the grace shortened while it runs: each step is said, and safe when said."""
    repod.retract("test")
    repod.declare("test", retention={"grace": "1h", "generations": 1})
    _set(repod, OLD)
    _publish(repod, "a")
    _set(repod, OLD, published=[f"{NEW}.pub"])
    assert _phase(repod) == "switch"
    _set(repod, NEW, cosign=OLD)
    assert repod.cli("resign", "test").rc == 0
    assert _phase(repod) == "wait"
    repod.retract("test")
    repod.declare("test", retention={"grace": "1s", "generations": 1})
    repod.write_config()
    repod.reload()
    until(lambda: repod.cli("prune", "test").out and _phase(repod) == "retire", 120, "the old key to be needed no more")
    _set(repod, NEW)
    assert _phase(repod) == "steady"
    assert repod.cli("check").out == "no faults\n"
    assert listed_issuers(repod.store()) == {pair[1].fingerprint}


def test_a_daemon_whose_key_was_replaced_at_once_says_what_to_do_and_goes_on_when_that_is_done(repod: Repod) -> None:
    _set(repod, OLD)
    _publish(repod, "a")
    repod.configure("signing", key=NEW, window="0s")
    repod.reload()
    shutil.move(quick(repod.base / "built", "b"), repod.inbox() / "b.rpm")
    remedy = "name it in [signing] published, or sign them anew: repod resign test"
    until(lambda: remedy in repod.get("/readyz")[1].decode(), 60, "the daemon to say what it builds nothing on")
    assert not repod.find_events("package published", file="b.rpm")
    assert repod.cli("resign", "test").rc == 0
    until(lambda: repod.find_events("package published", file="b.rpm"), 60, "the package that waited")
    until(lambda: repod.get("/readyz")[0] == 200, 60, "the daemon to be well")


def test_settings_that_are_ahead_of_the_hosts_are_a_fault_of_check_and_of_rotate(
    repod: Repod, pair: tuple[Key, Key]
) -> None:
    old, new = pair
    _publish(repod, "a")
    _set(repod, OLD, published=[f"{NEW}.pub"], window="1h")
    for settings, said in (
        ({"key": NEW, "cosign": OLD, "window": "1h"}, f"{new.fingerprint} signs, and hosts can learn it since"),
        ({"key": NEW, "window": "0s"}, f"1 package is signed by {old.fingerprint}, which hosts get no more"),
    ):
        repod.configure("signing", **settings)
        told, checked = repod.cli("keys rotate"), repod.cli("check")
        assert (told.rc, checked.rc) == (3, 2)
        assert said in told.out
        assert said in checked.out
    repod.configure("signing", key=OLD, published=[f"{NEW}.pub"], window="1h")
    assert repod.cli("check").rc == 0


def test_a_key_file_of_several_and_an_index_of_two_signatures_are_read_as_found(
    repod: Repod, tmp_path: Path, pair: tuple[Key, Key]
) -> None:
    """The cosigning key's signature comes first: with it second, a zypper that knows that key only stops."""
    _publish(repod, "a")
    with _hosts(tmp_path / "hosts") as hosts:
        repo = repod.repo_file()
        zypper, dnf = hosts.zypper("zypper", repo), hosts.dnf("dnf", repo, "baseurl")
        for host in (zypper, dnf):
            _works(host, "a")
        _set(repod, OLD, published=[f"{NEW}.pub"])
        _set(repod, NEW, cosign=OLD)
        assert repod.cli("resign", "test").rc == 0
        assert (_unattended(zypper).rc, _unattended(dnf).rc) == (0, 0)
        index = repod.store() / "repodata/repomd.xml.asc"
        index.write_bytes(turned(index.read_bytes()))
        assert _unattended(zypper).rc != 0
        assert _unattended(dnf).rc == 0
