"""What repod publishes, read by the clients of newer systems: dnf 5, dnf 4.23 and 4.24, zypper, rpm 4.20 and rpm 6."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import rpm_rs

from repod.client.toolkit import restarting
from repod.client.toolkit.asked import ToolName
from tests.lab import forms, newer, pull, rpms
from tests.lab.box import Box
from tests.lab.checker import check
from tests.lab.clients import choosing
from tests.lab.daemon import Repod
from tests.lab.hosts import proxy, upload
from tests.lab.httpd import serving
from tests.lab.keys import Key, export, generate, gnupghome, gpg, make_key
from tests.lab.newer import Client
from tests.lab.offices import Service
from tests.lab.seaweed import Seaweed
from tests.lab.views import View, all_views, stated
from tests.lab.wait import until

ROOT = Path(__file__).resolve().parents[2]
CLIENTS: Mapping[str, tuple[Callable[[], Path], str]] = {
    "dnf 5.4": (newer.forky, "dnf5"),
    "dnf 4.24": (newer.forky, "dnf"),
    "dnf 4.23": (newer.trixie, "dnf"),
    "zypper 1.14.101": (newer.forky, "zypper"),
    "zypper 1.14.89": (newer.trixie, "zypper"),
}
FORMS: Mapping[str, tuple[Mapping[str, object], tuple[str, str]]] = {
    "gz": ({}, ("live", "metalink")),
    "zstd": ({"compression": "zstd"}, ("frozen", "mirrorlist")),
    "gz, single stream": ({"single_stream": True}, ("frozen", "mirrorlist")),
    "zstd, single stream": ({"compression": "zstd", "single_stream": True}, ("live", "metalink")),
}
"""What a user sets for each form, and the ways by which it is read."""

# dnf 5 takes no module of the architecture noarch.
_MODULES = forms.MODULES.replace("arch: noarch", "arch: x86_64")


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Client]]:
    base = tmp_path_factory.mktemp("clients")
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(newer.client(base / str(number), root(), tool, base.parent, ROOT))
            for number, (name, (root, tool)) in enumerate(CLIENTS.items())
        }


@pytest.fixture(scope="module")
def base_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What provides the shell for scriptlets, and what zypper looks for."""
    return rpms.quick(tmp_path_factory.mktemp("base"), "lab-base", files={}, provides=("/bin/sh", "glibc"))


@pytest.fixture(autouse=True)
def _new(clients: Mapping[str, Client], base_package: Path) -> None:
    """Every client is as it is new."""
    places = "/etc/yum.repos.d/* /etc/zypp/repos.d/* /var/cache/dnf /var/cache/libdnf5 /var/cache/zypp /var/lib/rpm/*"
    for one in clients.values():
        one.box.run("sh", "-c", f"rm -rf {places} /usr/lib/sysimage/libdnf5 /var/lib/dnf /etc/dnf/modules.d/*")
        words = ("--install", "--justdb", "--nodeps", "--nosignature", "--noverify", str(base_package))
        one.box.run("rpm", *words)


class Site(NamedTuple):
    """A repository made by ``repod once``, as a web server serves it."""

    repod: Repod
    url: str

    def publish(self, *built: Path) -> None:
        for one in built:
            one.rename(self.repod.inbox() / one.name)
        done = self.repod.once()
        assert done.rc == 0, done

    def repo(self, form: str = "metalink") -> str:
        """The ``.repo`` file that repod wrote."""
        return choosing((self.repod.store() / "test.repo").read_text(), form)


@contextlib.contextmanager
def _site(base: Path, key_file: Path, **settings: object) -> Iterator[Site]:
    (base / "www/test").mkdir(parents=True)
    with serving(base / "www/test") as url:
        yield Site(Repod(base, key_file, {"test": {"url": f"{url}/", "profile": "fedora", **settings}}), url)


@pytest.fixture
def site(tmp_path: Path, key_file: Path) -> Iterator[Site]:
    with _site(tmp_path / "site", key_file) as made:
        yield made


def _carry(site: Site) -> None:
    """Publish groups, module streams and advisories of every package."""
    inbox = site.repod.inbox()
    (inbox / "comps.xml").write_text(forms.COMPS)
    (inbox / "greeting.modules.yaml").write_text(_MODULES)
    (inbox / "updateinfo.xml").write_text(forms.updateinfo(check(site.repod.store()).packages.values()))
    site.publish()


class Published(NamedTuple):
    views: Mapping[str, View]
    ways: tuple[str, str]
    sizes: Mapping[str, int]
    folder: Path


@pytest.fixture(scope="module", params=FORMS)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key: Key, key_file: Path
) -> Iterator[Published]:
    base = tmp_path_factory.mktemp("published")
    settings, ways = FORMS[request.param]
    with _site(base, key_file, **settings) as site:
        # More than a segment of them, and in two generations.
        site.publish(*(rpms.quick(base, f"filler{number}") for number in range(40)), *forms.varied(base))
        _carry(site)
        report = check(site.repod.store(), key.public)
        views = all_views(site.repod.store(), site.url, int(report.revision), key.public)
        listing = stated(views["live"], report.packages)
        sizes = {_with_epoch(name): facts["size"] for name, facts in listing.items()}
        yield Published(views, ways, sizes, base)


def _with_epoch(nevra: str) -> str:
    name, version, release = nevra.rsplit("-", 2)
    return f"{name}-{version if ':' in version else f'0:{version}'}-{release}"


@pytest.mark.parametrize("name", CLIENTS)
def test_a_newer_client_sees_the_same_packages_in_every_form(
    name: str, published: Published, clients: Mapping[str, Client]
) -> None:
    one = clients[name]
    wanted = published.sizes if one.tool != "zypper" else dict.fromkeys(published.sizes, 0)
    assert len(wanted) == 45
    for way in published.ways:
        one.subscribe(published.views[way].repo_file(published.folder / "keys"))
        assert one.available() == wanted, way


def test_newer_clients_install_upgrade_and_follow_a_repository_that_goes_back(
    site: Site, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """With both checks, by the ``.repo`` file that repod wrote; zypper would keep the others for ten minutes."""
    site.publish(
        rpms.quick(tmp_path, "hello", scriptlets={"post_install": "true"}), rpms.quick(tmp_path, "lib++", "1^a")
    )
    ways = dict(zip(clients, ("metalink", "mirrorlist", "metalink", "baseurl", "baseurl"), strict=True))
    for name, one in clients.items():
        one.subscribe(site.repo(ways[name]))
        one.refresh()
        one.done("install", "hello", "lib++")
        assert one.installed() == ["hello-1.0-1.noarch", "lib++-1^a-1.noarch"], name
    site.publish(rpms.quick(tmp_path, "hello", "1.1"))
    for name, one in clients.items():
        one.refresh()
        one.done("update", "hello")
        assert one.installed()[0] == "hello-1.1-1.noarch", name
    done = site.repod.cli("rollback", "test", "--to", "2", "--why", "a test")
    assert done.rc == 0, done.err
    for name, one in clients.items():
        one.refresh()
        one.follow()
        assert one.installed()[0] == "hello-1.0-1.noarch", name


def test_dnf5_reads_groups_modules_and_advisories(site: Site, clients: Mapping[str, Client], tmp_path: Path) -> None:
    one = clients["dnf 5.4"]
    site.publish(rpms.quick(tmp_path, "hello"))
    one.subscribe(site.repo("baseurl") + "module_hotfixes=1\n")
    one.done("install", "hello")
    site.publish(rpms.quick(tmp_path, "hello", "1.1"), rpms.quick(tmp_path, "lib++"))
    _carry(site)
    one.refresh()
    assert "hello-1.1-1.noarch" in one.done("advisory", "list")
    assert "Tools" in one.done("group", "list", "--available")
    assert "Greetings" in one.done("module", "list")
    one.done("group", "install", "tools")
    assert "lib++-1.0-1.noarch" in one.installed()
    one.done("upgrade", "--security")
    assert "hello-1.1-1.noarch" in one.installed()


def test_a_package_of_a_module_is_hidden_from_dnf5_until_its_stream_is_enabled(
    site: Site, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    one = clients["dnf 5.4"]
    site.publish(*(rpms.quick(tmp_path, "hello", version) for version in ("1.0", "1.1")))
    (site.repod.inbox() / "greeting.modules.yaml").write_text(_MODULES.partition("document: modulemd-defaults")[0][:-4])
    site.publish()
    one.subscribe(site.repo())
    one.done("install", "hello")
    assert one.installed() == ["hello-1.1-1.noarch"]
    one.done("module", "enable", "greeting:1.0")
    one.follow()
    # The stream has 1.0 alone.
    assert one.installed() == ["hello-1.0-1.noarch"]
    assert one.say("install", "hello-1.1-1").rc != 0


def test_dnf5_mirrors_the_live_view_whole(site: Site, clients: Mapping[str, Client], tmp_path: Path) -> None:
    one = clients["dnf 5.4"]
    site.publish(*forms.varied(tmp_path))
    one.subscribe(site.repo("baseurl"))
    one.done("reposync", "--repo=test", "--download-metadata", "--norepopath", "-p", "/root/mirror")
    one.box.run("createrepo_c", "--update", "/root/mirror")
    store = site.repod.store()
    for package in store.glob("Packages/*/*.rpm"):
        copy = one.box.root / "root/mirror" / package.relative_to(store)
        assert copy.read_bytes() == package.read_bytes()
    one.box.run("rm", "-r", "/root/mirror")


@pytest.mark.parametrize("name", CLIENTS)
def test_newer_clients_refuse_what_was_altered(
    name: str, site: Site, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    one = clients[name]
    site.publish(rpms.quick(tmp_path, "hello"))
    one.subscribe(site.repo("baseurl"))
    store = site.repod.store()
    (package,) = store.glob("Packages/h/*.rpm")
    for file in (store / "repodata/repomd.xml", package):
        data = file.read_bytes()
        file.write_bytes(data.replace(b"<revision>", b"<revision>1") if file.suffix == ".xml" else data[:-1] + b"!")
        assert one.say("install", "hello").rc != 0
        assert one.installed() == []
        file.write_bytes(data)
    one.refresh()
    one.done("install", "hello")


# ---------------------------------------------------------------- rpm alone


@pytest.mark.parametrize(("algorithm", "fmt"), [("rsa4096", 4), ("ed25519", 4), ("ed25519", 6)])
def test_rpm_installs_what_repod_signed_and_nothing_that_nobody_did(
    algorithm: str, fmt: int, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """Plain ``rpm -i`` where a signature is demanded, as rpm 6 does by default."""
    key = make_key(algorithm)
    (tmp_path / "key.asc").write_bytes(key.secret)
    (tmp_path / "key.asc").chmod(0o600)
    plain = rpms.quick(tmp_path, "plain", fmt=fmt)
    with _site(tmp_path / "site", tmp_path / "key.asc") as site:
        rpms.quick(site.repod.inbox(), "hello", fmt=fmt)
        # This machine's own rpm could not check the other format.
        assert site.repod.cli("once").rc == 0
        (package,) = site.repod.store().glob("Packages/h/*.rpm")
        public = site.repod.store() / "RPM-GPG-KEY-test"
        for name in ("dnf 5.4", "dnf 4.23") if fmt == 4 else ("dnf 5.4",):
            box = clients[name].box
            assert _install(box, package) is False, name  # the key is not known yet
            box.run("rpm", "--import", str(public))
            assert _install(box, plain) is False, name
            assert "NOT OK" not in box.run("rpmkeys", "--checksig", "-v", str(package)).out
            assert _install(box, package) is True, name


def _install(box: Box, package: Path) -> bool:
    return box.run("rpm", "--install", str(package), check=False).rc == 0


# ---------------------------------------------------------------- what runs on hosts


def test_dnf5_reads_a_private_bucket_through_repod_s3(
    s3: Seaweed, tmp_path: Path, key_file: Path, clients: Mapping[str, Client]
) -> None:
    one = clients["dnf 5.4"]
    bucket, prefix = s3.bucket(), "teams/f43+prod/"
    repod = Repod(tmp_path / "repod", key_file, {"test": {"url": f"s3://{bucket}/{prefix}"}})
    rpms.quick(repod.inbox(), "hello")
    rpms.quick(repod.inbox(), "lib++", "1.0~rc1^git")
    assert repod.once().rc == 0
    upload(s3, repod.store(), bucket, prefix)
    with proxy(tmp_path / "proxy", f"s3://{bucket}/{prefix}", environ=s3.environ) as running:
        for form in ("baseurl", "mirrorlist", "metalink"):
            text = choosing((repod.store() / "test.repo").read_text(), form)
            one.subscribe(text.replace("s3://", running.url))
            one.refresh()
        one.done("install", "hello", "lib++")
    assert one.installed() == ["hello-1.0-1.noarch", "lib++-1.0~rc1^git-1.noarch"]


def test_repod_agent_brings_a_host_with_dnf5_to_what_its_ring_names_and_back(
    tmp_path: Path, key: Key, key_file: Path, clients: Mapping[str, Client]
) -> None:
    one = clients["dnf 5.4"]
    store = tmp_path / "repod/www" / pull.NAME
    store.mkdir(parents=True)
    with serving(store) as url, Service(tmp_path / "repod", key_file, {pull.NAME: {"url": url}}) as service:
        service.publish(pull.NAME, *(pull.hello(tmp_path, release) for release in ("1", "2")))
        one.subscribe((store / f"{pull.NAME}.repo").read_text())
        one.box.put("/root/key.asc", key.public)
        lines = ("tool = dnf5", f"repository = {pull.NAME}", "ring = web", "key = /root/key.asc", "state = /root/state")
        one.box.put("/root/agent.conf", "\n".join(["[repod-agent]", "host = new1", *lines, ""]))
        one.box.put("/etc/machine-id", pull.IDS[0] + "\n")
        words = ("env", f"PYTHONPATH={ROOT}", "python3", "-m", "repod.hosts.agent", "run", "-c", "/root/agent.conf")
        one.done("install", "hello-1.0-1")
        for release in ("2", "1"):
            pull.set_ring(service, f"hello-1.0-{release}")
            done = one.box.run(*words, check=False)
            assert (done.rc, one.installed()) == (0, [f"hello-1.0-{release}.noarch"]), done.out


def test_dnf5_says_whether_a_reboot_is_due(site: Site, clients: Mapping[str, Client], tmp_path: Path) -> None:
    """Asked as ``repoctl`` asks, right after an update that fetched no more than it needed."""
    one = clients["dnf 5.4"]
    site.publish(rpms.quick(tmp_path, "hello"), rpms.quick(tmp_path, "kernel-core", "6.0"))
    one.subscribe(site.repo())
    asked = restarting.questions(ToolName.DNF5, "dnf5", {})
    assert asked
    # It takes the age of the first process for that of the boot, and the kernel forgets that where nobody looks.
    first = os.open(one.box.root / "proc/1", os.O_RDONLY)
    try:
        until(lambda: time.time() > os.fstat(first).st_mtime + 1, 5, "a second to pass")
        for package, due in (("hello", False), ("kernel-core", True)):
            one.done("install", package)
            ended = one.box.run(*asked.reboot, check=False)
            assert restarting.due(ToolName.DNF5, ended.rc, ended.out) is due, ended.out
    finally:
        os.close(first)


# ---------------------------------------------------------------- who may read


def test_newer_clients_read_with_a_token_or_a_password_and_not_without(
    tmp_path: Path, key_file: Path, clients: Mapping[str, Client]
) -> None:
    """Served by the daemon itself."""
    http = {"access": "readers", "tokens": "tokens.json"}
    with Repod(tmp_path / "repod", key_file, settings={"http": http}) as repod:
        rpms.quick(repod.inbox(), "hello")
        until(lambda: repod.find_events("published"), 60, "the package to be live")
        secret = repod.cli("token add", "web", "--repository", "test").out.strip()
        key = repod.store() / "RPM-GPG-KEY-test"
        lines = ["[test]", "name=test", "gpgcheck=1", "repo_gpgcheck=1", f"gpgkey=file://{key}"]
        for name, one in clients.items():
            place = f"{repod.url}/repos/test/"
            one.subscribe("\n".join([*lines, f"baseurl={place}", ""]))
            assert one.say("install", "hello").rc != 0, name
            if one.tool == "zypper":
                one.subscribe("\n".join([*lines, f"baseurl={place.replace('://', f'://token:{secret}@')}", ""]))
            else:
                one.subscribe("\n".join([*lines, f"baseurl={place}", "username=token", f"password={secret}", ""]))
            one.refresh()
            one.done("install", "hello")
            assert one.installed() == ["hello-1.0-1.noarch"], name


def test_rpm_before_6_keeps_the_old_end_of_a_key_until_the_key_is_removed(
    clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """So the runbook says of keys that are extended, RepodKeyExpiresSoon in the README."""
    with gnupghome() as home:
        fingerprint = generate(home, lifetime="1d", options=("--faked-system-time", "20250101T000000!"))
        old = export(home, fingerprint)
        gpg(home, "--quick-set-expire", fingerprint, "1y")
        extended = export(home, fingerprint)
    package = rpms.quick(tmp_path)
    rpm_rs.Package.resign_in_place(str(package), rpm_rs.Signer(extended.secret))
    older, newest = clients["dnf 4.23"].box, clients["dnf 4.24"].box
    for one in (older, newest):
        for name, key in (("old", old), ("extended", extended)):
            one.put(f"/tmp/{name}.asc", key.public)
            one.run("rpm", "--import", f"/tmp/{name}.asc")
    verdicts = [one.run("rpmkeys", "--checksig", str(package), check=False) for one in (older, newest)]
    assert [done.rc for done in verdicts] == [1, 0], verdicts
    assert "NOT OK" in verdicts[0].out or "certificate is not alive" in verdicts[0].out
    older.run("rpm", "-e", *older.run("rpm", "-qa", "gpg-pubkey*").out.split())
    older.run("rpm", "--import", "/tmp/extended.asc")
    older.run("rpmkeys", "--checksig", str(package))
