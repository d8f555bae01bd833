"""From `aws s3 cp` into an inbox bucket to a host: one daemon, two private buckets, every way in and every client."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab.awscli import aws
from tests.lab.clients import Dnf, Host, Zypper, choosing
from tests.lab.daemon import Repod
from tests.lab.hosts import installed, proxy, with_program
from tests.lab.rpms import quick
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_BUILD = "lib++-1.0~rc1^git2-1.noarch"


class Published(NamedTuple):
    """A running daemon that took a package in from one bucket and published it into another."""

    repod: Repod
    s3: Seaweed
    bucket: str

    @property
    def place(self) -> str:
        return f"s3://{self.bucket}/el9/"

    @property
    def repo(self) -> str:
        """The ``.repo`` file that it wrote, with s3:// URLs."""
        return self.repod.repo_file()


@pytest.fixture(scope="module")
def published(
    s3: Seaweed, key_file: Path, tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]
) -> Iterator[Published]:
    base = tmp_path_factory.mktemp("published")
    inbox, store = s3.bucket(), s3.bucket()
    own = {"inbox": f"s3://{inbox}/el9-prod/", "store": f"s3://{store}/el9/", "url": f"s3://{store}/el9/"}
    with Repod(base, key_file, {"test": own}, s3=s3) as repod:
        long_lived.add(repod.pid)
        built = quick(base, "lib++", "1.0~rc1^git2")
        aws(base, s3.environ, "s3", "cp", built, f"s3://{inbox}/el9-prod/")
        until(lambda: repod.find_events("package published", package=_BUILD), 30, "the package to be live")
        until(lambda: not s3.client().list_objects_v2(Bucket=inbox).get("Contents"), 10, "the inbox to be empty")
        yield Published(repod, s3, store)


def _installs(host: Host, package: str) -> None:
    done = host.install(package)
    assert (done.rc, host.installed()) == (0, [_BUILD]), done.out


def _checked(repo: str) -> str:
    assert "gpgcheck=1" in repo
    assert "repo_gpgcheck=1" in repo
    return repo


@pytest.mark.parametrize("client", [Dnf, Zypper])
def test_through_the_daemon(published: Published, client: type[Dnf] | type[Zypper], tmp_path: Path) -> None:
    repo = choosing(published.repo.replace(published.place, f"{published.repod.repo_url()}/"), "baseurl")
    with client(tmp_path / "host", _checked(repo)) as host:
        _installs(host, "lib++")


@pytest.mark.parametrize("client", [Dnf, Zypper])
def test_through_the_signing_proxy(published: Published, client: type[Dnf] | type[Zypper], tmp_path: Path) -> None:
    form = "metalink" if client is Dnf else "baseurl"
    with proxy(tmp_path / "proxy", published.place, environ=published.s3.environ) as running:
        repo = choosing(published.repo.replace("s3://", running.url), form)
        with client(tmp_path / "host", _checked(repo)) as host:
            _installs(host, "lib++")


def test_through_the_plugin_of_dnf(published: Published, tmp_path: Path) -> None:
    root = tmp_path / "host"
    with Dnf(root, _checked(published.repo)) as host:
        host.plugin = root / "usr/lib/dnf-plugins"
        assert installed(root, "--dnf", plugins=host.plugin).rc == 0
        settings = root / "etc/dnf/plugins/repod_s3.conf"
        settings.write_text(f"[main]\nenabled = 1\ncommand = {root}/usr/local/bin/repod-s3\n")
        host.environ = dict(published.s3.environ)
        _installs(host, "lib++")


def test_through_the_resolver_of_zypper(published: Published, tmp_path: Path) -> None:
    root = tmp_path / "host"
    repo = choosing(published.repo, "baseurl").replace(
        f"baseurl={published.place}", f"baseurl=plugin:s3?bucket={published.bucket}&prefix=el9"
    )
    repo = re.sub(r"(?m)^gpgkey=.*\n", "", _checked(repo))  # the key beside the index is taken
    with Zypper(root, repo) as host:
        assert installed(root, "--zypper").rc == 0
        host.prefix, host.environ = with_program(root), dict(published.s3.environ)
        _installs(host, "lib++")
