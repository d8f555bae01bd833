"""Real dnf and zypper read a private bucket through `repod-s3`, with both signature checks."""

import concurrent.futures
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab.clients import Dnf, Host, Zypper, choosing
from tests.lab.daemon import Repod
from tests.lab.hosts import Proxy, ask, installed, proxy, upload, with_program
from tests.lab.rpms import quick
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_LARGE = 10_000_000
ODD = "libx++-1.0~rc1^git-1.noarch"


class Private(NamedTuple):
    """A repository in a bucket: hello 1.0 and 2.0, and a package with an odd name."""

    s3: Seaweed
    bucket: str
    prefix: str
    repo: str
    """The ``.repo`` file that the daemon wrote, with s3:// URLs."""

    @property
    def place(self) -> str:
        """As settings have it."""
        return f"s3://{self.bucket}/{self.prefix}"


@pytest.fixture(scope="module")
def private(s3: Seaweed, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Private:
    base = tmp_path_factory.mktemp("private")
    bucket, prefix = s3.bucket(), "teams/el9+prod/"
    url = f"s3://{bucket}/{prefix}"
    repod = Repod(base, key_file, {"test": {"url": url}})
    large = quick(base, "large", files={"/usr/share/large": secrets.token_bytes(_LARGE)}, compression="none")
    odd = quick(base, "libx++", "1.0~rc1^git")
    for built in (quick(base, "hello", "1.0"), odd, quick(base, "hello", "2.0"), large):
        built.rename(repod.inbox() / built.name)
        os.utime(repod.inbox() / built.name, (1, 1))
    assert repod.once().rc == 0
    upload(s3, repod.store(), bucket, prefix)
    return Private(s3, bucket, prefix, (repod.store() / "test.repo").read_text())


@pytest.fixture
def running(private: Private, tmp_path: Path) -> Iterator[Proxy]:
    with proxy(tmp_path / "proxy", private.place, environ=private.s3.environ) as started:
        yield started


def goes_back_and_forth(host: Dnf | Zypper) -> None:
    """Install, upgrade, downgrade, an odd name."""
    downgrade = ("downgrade", "hello-1.0-1") if isinstance(host, Dnf) else ("install", "--oldpackage", "hello=1.0-1")
    upgrade = ("upgrade", "hello") if isinstance(host, Dnf) else ("update", "hello")
    first = "hello-1.0-1" if isinstance(host, Dnf) else "hello=1.0-1"
    steps = ((("install", first), "1.0"), (upgrade, "2.0"), (downgrade, "1.0"))
    if isinstance(host, Zypper):
        assert host.run("refresh", "--force").rc == 0
    for words, version in steps:
        done = host.run(*words)
        assert (done.rc, host.installed()) == (0, [f"hello-{version}-1.noarch"]), done.out
    done = host.run("install", "libx++")
    assert (done.rc, ODD in host.installed()) == (0, True), done.out


def test_without_repod_s3_the_bucket_is_closed(private: Private) -> None:
    assert ask(f"{private.s3.endpoint}/{private.bucket}/{private.prefix}repodata/repomd.xml").status == 403


@pytest.mark.parametrize("form", ["metalink", "mirrorlist", "baseurl"])
def test_dnf_goes_back_and_forth_through_the_constant_address(
    private: Private, running: Proxy, tmp_path: Path, form: str
) -> None:
    repo = choosing(private.repo.replace("s3://", running.url), form)
    with Dnf(tmp_path / "host", repo) as host:
        goes_back_and_forth(host)


@pytest.fixture
def plugged(private: Private, tmp_path: Path) -> Iterator[Dnf]:
    """A host with the plugin of dnf, installed as on a host."""
    root = tmp_path / "plugged"
    with Dnf(root) as host:
        plugin = root / "usr/lib/dnf-plugins"
        assert installed(root, "--dnf", plugins=plugin).rc == 0
        settings = root / "etc/dnf/plugins/repod_s3.conf"
        settings.write_text(f"[main]\nenabled = 1\ncommand = {root}/usr/local/bin/repod-s3\n")
        host.plugin = plugin
        host.environ = dict(private.s3.environ)
        yield host


@pytest.mark.parametrize("form", ["metalink", "mirrorlist", "baseurl"])
def test_dnf_goes_back_and_forth_by_its_plugin(private: Private, plugged: Dnf, form: str) -> None:
    plugged.environ |= {"http_proxy": "http://127.0.0.1:9/", "no_proxy": "127.0.0.1"}
    plugged.subscribe(choosing(private.repo, form))
    goes_back_and_forth(plugged)


def test_dnfs_cache_is_kept_from_run_to_run(private: Private, plugged: Dnf) -> None:
    plugged.subscribe(private.repo)
    assert plugged.run("makecache").rc == 0
    before = sorted((plugged.root / "var/cache/dnf").glob("test-*"))
    assert plugged.run("--refresh", "makecache").rc == 0
    assert sorted((plugged.root / "var/cache/dnf").glob("test-*")) == before != []


def test_a_wrong_secret_gives_a_line_that_names_object_identity_and_remedy(private: Private, plugged: Dnf) -> None:
    plugged.subscribe(choosing(private.repo, "baseurl"))
    plugged.environ["AWS_SECRET_ACCESS_KEY"] = "wrong"
    done = plugged.run("install", "hello")
    assert done.rc == 1
    (line,) = {line for line in done.out.splitlines() if line.startswith("repod-s3: ")}
    assert line.startswith(f"repod-s3: {private.place}repodata/repomd.xml: S3 refused env {private.s3.access_key} ")
    assert line.endswith("correct the credentials of this host")
    assert "Status code: 403" in done.out


def test_no_credentials_give_a_line_that_says_so(private: Private, plugged: Dnf) -> None:
    plugged.subscribe(choosing(private.repo, "baseurl"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del plugged.environ[name]
    done = plugged.run("install", "hello")
    assert done.rc == 1
    assert "repod-s3: S3: no credentials on this host: no environment variables, profile, container" in done.out
    assert "Status code: 503" in done.out


def test_where_the_program_is_missing_the_plugin_says_so_and_other_repositories_work(
    private: Private, plugged: Dnf
) -> None:
    plugged.subscribe(private.repo + "skip_if_unavailable=1\n")
    (plugged.root / "usr/local/bin/repod-s3").unlink()
    done = plugged.run("makecache")
    assert "repod-s3: test cannot be read: " in done.out
    assert done.rc == 0, done.out


def test_repositories_that_lie_elsewhere_start_nothing(plugged: Dnf) -> None:
    (plugged.root / "usr/local/bin/repod-s3").unlink()
    done = plugged.run("repolist")
    assert (done.rc, "repod-s3" in done.out) == (0, False), done.out


def test_what_dnf_says_where_the_proxy_is_down(private: Private, tmp_path: Path) -> None:
    repo = choosing(private.repo.replace("s3://", "http://127.0.0.1:9/"), "baseurl")
    with Dnf(tmp_path / "host", repo) as host:
        done = host.run("install", "hello")
    assert done.rc == 1
    assert re.search(r"Failed to connect to 127\.0\.0\.1 port 9", done.out), done.out


def test_dnf_notices_nothing_where_the_service_dies_in_the_middle_of_a_download(
    private: Private, tmp_path: Path, s3: Seaweed
) -> None:
    """systemd keeps the socket: dnf's next attempt waits there for the next process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = proxy(tmp_path / "first", private.place, environ=s3.environ, listener=listener)
        with first as started, concurrent.futures.ThreadPoolExecutor(1) as pool:
            repo = choosing(private.repo.replace("s3://", started.url), "baseurl")
            with Dnf(tmp_path / "host", repo) as host:
                assert host.run("makecache").rc == 0
                # Slow enough that it is still at it when the first bytes are there.
                done = pool.submit(host.run, "--setopt=throttle=2M", "install", "large")
                until(lambda: _sizes(host), 30, "the first bytes of the package")
                started.process.send_signal(signal.SIGKILL)
                started.process.wait()
                options = ["--verbose"]
                with proxy(
                    tmp_path / "next", private.place, environ=s3.environ, options=options, listener=listener
                ) as second:
                    assert done.result().rc == 0, done.result().out
                    assert host.installed() == ["large-1.0-1.noarch"]
                    assert f"GET {private.place}Packages/l/large-1.0-1.noarch.rpm: 20" in second.log()


def _sizes(host: Dnf) -> list[int]:
    """Of the packages that dnf has begun to download, those with bytes."""
    found = []
    for folder, _, names in os.walk(host.root / "var/cache/dnf"):
        for name in names:
            with suppress(FileNotFoundError):  # dnf takes them away when it has installed them
                found.append(Path(folder, name).stat().st_size if name.endswith(".rpm") else 0)
    return [size for size in found if size]


def _of_zypper(private: Private, url: str) -> str:
    return re.sub(r"(?m)^#?baseurl=.*$", f"baseurl={url}", choosing(private.repo, "baseurl"))


def test_zypper_goes_back_and_forth_through_the_constant_address(
    private: Private, running: Proxy, tmp_path: Path
) -> None:
    repo = choosing(private.repo.replace("s3://", running.url), "baseurl")
    with Zypper(tmp_path / "host", repo) as host:
        goes_back_and_forth(host)


def test_zypper_goes_back_and_forth_by_its_resolver(private: Private, tmp_path: Path) -> None:
    root = tmp_path / "host"
    repo = _of_zypper(private, f"plugin:s3?bucket={private.bucket}&prefix={private.prefix.replace('+', '%2b')}")
    repo = re.sub(r"(?m)^gpgkey=.*\n", "", repo)  # the key beside the index is taken
    with Zypper(root, repo) as host:
        assert installed(root, "--zypper").rc == 0
        host.prefix, host.environ = with_program(root), dict(private.s3.environ)
        goes_back_and_forth(host)


def _children(name: str) -> list[int]:
    found = subprocess.run(["pgrep", "-f", name], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in found.split()]


def test_a_child_ends_with_the_package_manager_that_started_it(private: Private, tmp_path: Path) -> None:
    program = tmp_path / "repod-s3"
    assert installed(tmp_path, "--zypper").rc == 0
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path / "usr/local/bin/repod-s3"), private.place],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **private.s3.environ},
    )
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    assert ask(f"http://127.0.0.1:{port}/").status == 407
    assert _children(f"{tmp_path}/usr/local/bin/repod-s3 serve")
    parent.kill()
    parent.communicate()
    until(lambda: not _children(f"{tmp_path}/usr/local/bin/repod-s3 serve"), 30, f"the child of {program} to end")


_PARENT = """
import json, subprocess, sys, time
child = subprocess.Popen([sys.argv[1], "serve", "--child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(json.dumps({"allow": [sys.argv[2]], "password": "secret"}).encode() + b"\\n")
child.stdin.flush()
print(child.stdout.readline().decode().strip(), flush=True)
time.sleep(600)
"""


def test_both_ways_leave_hosts_with_equal_packages(private: Private, running: Proxy, plugged: Dnf) -> None:
    plugged.subscribe(private.repo)
    assert plugged.install("hello").rc == 0
    repo = choosing(private.repo.replace("s3://", running.url), "metalink")
    other: Host
    with Dnf(plugged.root.parent / "other", repo) as other:
        assert other.install("hello").rc == 0
        assert other.header_digests() == plugged.header_digests()
