"""The promised depth, on real hosts: dnf goes down through all of it, and old metadata work until grace ends.

CI makes many iterations of one version a day, as with ``fpm --iteration BUILD_NUMBER``; retention keeps five.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.checker import assert_sound
from tests.lab.clients import Completed, Dnf, choosing
from tests.lab.daemon import Repod
from tests.lab.ports import free_port
from tests.lab.rpms import nfpm, quick
from tests.lab.wait import until

_KEEP = 5
_DAYS, _A_DAY = 3, 40
_FORMS = ("baseurl", "mirrorlist", "metalink")


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[[str, str], Dnf]]:
    """Makes hosts of a name and a ``.repo`` file; their agents end with the test."""
    with ExitStack() as stack:
        yield lambda name, repo: stack.enter_context(Dnf(tmp_path / name, repo))


def _a_day(repod: Repod, folder: Path, first: int) -> None:
    """CI builds, and ``repod once`` takes in, publishes and prunes."""
    for number in range(first, first + _A_DAY):
        shutil.move(nfpm(folder, "app", "1.4.0", str(number)), repod.inbox())
    done = repod.once()
    assert done.rc == 0, done.err


def test_after_days_of_iterations_dnf_goes_down_through_exactly_the_promised_depth(
    tmp_path: Path, key_file: Path, make_host: Callable[[str, str], Dnf]
) -> None:
    repod = Repod(tmp_path, key_file, {"test": {"retention": {"keep": _KEEP}}})
    for day in range(_DAYS):
        _a_day(repod, tmp_path, 1 + day * _A_DAY)
    last = _DAYS * _A_DAY
    depth = [f"app-1.4.0-{number}.noarch" for number in range(last, last - _KEEP, -1)]
    with repod:
        host = make_host("host", repod.repo_file())
        assert host.available() == sorted(depth)
        done = host.install("app")
        assert host.installed() == depth[:1], done.out
        for older in depth[1:]:
            done = host.downgrade("app")
            assert (done.rc, host.installed()) == (0, [older]), done.out
        done = host.downgrade("app")
        assert host.installed() == depth[-1:], done.out
        for build in (depth[2], depth[0], depth[3], depth[1], depth[4]):
            done = host.install(build.removesuffix(".noarch"))
            assert (done.rc, host.installed()) == (0, [build]), done.out


def _publish(repod: Repod, release: int) -> None:
    name = f"app-1.0-{release}.noarch.rpm"
    quick(repod.inbox().parent, "app", "1.0", str(release)).rename(repod.inbox() / name)
    until(lambda: repod.find_events("package published", file=name), 30, f"{name} to be published")


def _retain(repod: Repod, grace: str) -> None:
    repod.declare("test", retention={"keep": 2, "generations": 1, "grace": grace})
    repod.write_config()


def test_metadata_fetched_just_before_a_prune_serve_until_grace_ends_and_then_dnf_says_so(
    tmp_path: Path, key_file: Path, make_host: Callable[[str, str], Dnf]
) -> None:
    """Grace ends when the settings say so: no test waits for days."""
    # Commands beside the daemon bring mirrorlist up to date too, so both must know the same address.
    repod = Repod(tmp_path, key_file, settings={"http": {"listen": f"127.0.0.1:{free_port()}"}})
    _retain(repod, "1h")
    with repod:
        _publish(repod, 1)
        _publish(repod, 2)
        hosts = {form: make_host(form, choosing(repod.repo_file(), form)) for form in _FORMS}
        for host in hosts.values():
            assert host.available() == ["app-1.0-1.noarch", "app-1.0-2.noarch"]
        _publish(repod, 3)
        _publish(repod, 4)
        _prune(repod)
        assert sorted(assert_sound(repod.store())) == ["app-1.0-3.noarch", "app-1.0-4.noarch"]
        for form, host in hosts.items():
            for build in ("app-1.0-2", "app-1.0-1"):
                done = _from_old_metadata(host, build)
                assert (done.rc, host.installed()) == (0, [f"{build}.noarch"]), f"{form}: {done.out}"
        _retain(repod, "1s")
        until(lambda: _gone(repod, 1, 2), 120, "what was pruned to be gone")
        for form, host in hosts.items():
            done = _from_old_metadata(host, "app-1.0-2")
            assert (done.rc, host.installed()) == (1, ["app-1.0-1.noarch"]), f"{form}: {done.out}"
            assert "app-1.0-2.noarch" in done.out
            done = host.upgrade("app")
            assert (done.rc, host.installed()) == (0, ["app-1.0-4.noarch"]), f"{form}: {done.out}"


def _from_old_metadata(host: Dnf, spec: str) -> Completed:
    """Install by the metadata that the host holds, however old they are."""
    return host.run("--setopt=metadata_expire=never", "install", spec)


def _prune(repod: Repod) -> None:
    done = repod.cli("prune", "test")
    assert done.rc == 0, done.err


def _gone(repod: Repod, *releases: int) -> bool:
    _prune(repod)
    return not any((repod.store() / f"Packages/a/app-1.0-{number}.noarch.rpm").exists() for number in releases)
