"""Cases about package tools on hosts: each with real dnf and dnf 5, and with real zypper where it can be met there."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from repod.client.bring import bring, look
from repod.client.fleet import Action, Trouble, Wanted
from repod.client.talk import Patience
from repod.client.toolkit import orders
from repod.client.toolkit.asked import Change, Sources, ToolName
from repod.package import Nevra
from tests.lab import newer
from tests.lab.deploying import aim, brought, nevras, restored
from tests.lab.inside import Inside
from tests.lab.keys import Key, make_key
from tests.lab.machine import Machine
from tests.lab.machines import Machines
from tests.lab.published import Published, published

_TOOLS = ("dnf", "dnf5", "zypper", "newer zypper")
_NEWER = ("dnf5", "newer zypper")
"""Of a host with rpm 6, which has no dnf 4."""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]) -> Iterator[Machines]:
    with Machines(tmp_path_factory.mktemp("deploy"), 1) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def newer_machines(tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]) -> Iterator[Machines]:
    with Machines(
        tmp_path_factory.mktemp("newer"), 1, prefix="new", base=newer.forky(), without=newer.WITHOUT_DNF4
    ) as hosts:
        yield hosts


@pytest.fixture
def site(tmp_path: Path, key: Key) -> Iterator[Published]:
    with published(tmp_path / "site", key) as site:
        yield site


@pytest.fixture
def host(machines: Machines, newer_machines: Machines, request: pytest.FixtureRequest) -> Iterator[Inside]:
    """The host as it is new: the one that has the ``tool`` of the test, dnf where it names none."""
    params = getattr(request.node, "callspec", None)
    tool = params.params.get("tool") if params else None
    machine = (newer_machines if tool in _NEWER else machines)[0]
    machine.run("cp", "-a", "/var/lib/rpm", "/root/rpm")
    yield Inside(machine)
    places = "/var/lib/rpm /etc/yum.repos.d/* /etc/zypp/repos.d/* /etc/zypp/locks /var/cache/dnf/* /var/cache/libdnf5"
    machine.run("sh", "-c", f"rm -rf {places}; mv /root/rpm /var/lib/rpm")
    machine.run("sh", "-c", "rm -rf /var/lib/repod-run /var/cache/zypp /usr/local/bin/*")


def _subscribe(machine: Machine, tool: str, text: str) -> None:
    folder = "/etc/zypp/repos.d" if "zypper" in tool else "/etc/yum.repos.d"
    machine.put(f"{folder}/lab.repo", text)


def _family(site: Published, *versions: str) -> dict[str, tuple[Wanted, Wanted]]:
    """foo and foo-libs, each of which requires the other's exact version."""
    made = {}
    for version in versions:
        libs = site.quick("foo-libs", version, requires=[f"foo = {version}"], provides=[f"foo-libs = {version}"])
        made[version] = (
            site.quick("foo", version, requires=[f"foo-libs = {version}"], provides=[f"foo = {version}"]),
            libs,
        )
    return made


@pytest.mark.parametrize("tool", _TOOLS)
def test_c125_metadata_that_the_host_still_holds_are_fetched_anew(site: Published, host: Inside, tool: str) -> None:
    """The host's cache, valid for two days, has 1.11; 1.12 is published, asked for, and what runs afterwards."""
    old = site.quick("foo", "1.11")
    _subscribe(host.machine, tool, site.repo("metadata_expire=48h", "autorefresh=0"))
    assert brought(host, aim(site, "update", old)).proven
    new = site.quick("foo", "1.12")
    outcome = brought(host, aim(site, "update", new))
    assert (outcome.proven, nevras(outcome.after)) == (True, ["foo-1.12-1.noarch"])
    assert host.machine.installed("foo") == {"foo-1.12-1.noarch": new.header_sha256}


def test_c127_a_tool_that_ends_with_zero_and_did_nothing_is_not_believed(site: Published, host: Inside) -> None:
    wanted = site.quick("foo", "1.12")
    _subscribe(host.machine, "dnf", site.repo())
    host.machine.put("/usr/local/bin/dnf", "#!/bin/sh\necho 'No match for argument: foo-1.12-1.noarch'\n", 0o755)
    outcome = brought(host, aim(site, "update", wanted))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.NOT_OFFERED)
    assert outcome.text.startswith("runs no foo, expected foo-1.12-1.noarch: No match for argument")
    host.machine.put("/usr/local/bin/dnf", "#!/bin/sh\necho Nothing to do.; echo Complete!\n", 0o755)
    outcome = brought(host, aim(site, "update", wanted))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.NOT_PROVEN)
    assert outcome.text == "runs no foo, expected foo-1.12-1.noarch: Nothing to do."


@pytest.mark.parametrize("tool", _TOOLS)
def test_c127_a_build_that_is_not_there_is_told_as_not_offered(site: Published, host: Inside, tool: str) -> None:
    gone = site.quick("foo", "1.12")
    site.drop(gone)
    _subscribe(host.machine, tool, site.repo())
    outcome = brought(host, aim(site, "update", gone))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.NOT_OFFERED)
    assert outcome.text.startswith("runs no foo, expected foo-1.12-1.noarch: ")


@pytest.mark.parametrize("tool", ["dnf", "dnf5"])
def test_c133_a_lock_that_is_taken_just_before_the_transaction_is_told_as_a_lock(
    site: Published, host: Inside, tool: str
) -> None:
    """Nobody holds rpm's lock when the host is asked, and somebody does when the package tool wants it."""
    wanted = site.quick("foo", "1.12")
    _subscribe(host.machine, tool, site.repo())
    holder = (
        "import fcntl, os; f = open('/var/lib/rpm/.rpm.lock', 'a'); fcntl.lockf(f, fcntl.LOCK_EX)"
        "; os.set_inheritable(f.fileno(), True); open('/root/held', 'w').write(str(os.getpid()))"
        "; os.execv('/bin/sleep', ['sleep', '600'])"
    )
    wait = "until [ -s /root/held ]; do sleep .01; done"
    held = f'[ -s /root/held ] || {{ python3 -c "{holder}" >/dev/null 2>&1 & {wait}; }}'
    host.machine.put(f"/usr/local/bin/{tool}", f'#!/bin/sh\n{held}\nexec /usr/bin/{tool} "$@"\n', 0o755)
    outcome = brought(host, aim(site, "update", wanted), patience=Patience(lock=1, limit=10))
    pid = host.machine.read("/root/held").strip()
    host.machine.run("sh", "-c", f"kill -KILL {pid}; rm /root/held /usr/local/bin/{tool}")
    assert (outcome.proven, outcome.trouble) == (False, Trouble.LOCKED), outcome
    assert brought(host, aim(site, "update", wanted), run="r2").proven


@pytest.mark.parametrize("tool", _TOOLS)
def test_c129_a_downgrade_goes_to_the_wanted_build(site: Published, host: Inside, tool: str) -> None:
    builds = {version: site.quick("foo", version) for version in ("1.9", "1.10", "1.11", "1.12")}
    _subscribe(host.machine, tool, site.repo())
    assert brought(host, aim(site, "update", builds["1.12"])).proven
    outcome = brought(host, aim(site, "downgrade", builds["1.9"]))
    assert (outcome.proven, nevras(outcome.before), nevras(outcome.after)) == (
        True,
        ["foo-1.12-1.noarch"],
        ["foo-1.9-1.noarch"],
    )
    # As it does from below: what is wanted is one build, wherever the host stands.
    assert brought(host, aim(site, "downgrade", builds["1.10"])).proven


@pytest.mark.parametrize("tool", list(ToolName))
def test_c129_every_tool_is_asked_for_the_exact_build_and_may_go_down(tool: ToolName) -> None:
    """The commands of tools that are not here; ``downgrade`` stands where ``install`` would not go down: in yum 3."""
    wanted = Nevra(name="foo", epoch=2, version="1.9", release="1", arch="noarch")
    made = orders.steps(tool, tool.value, Change(downs=[wanted]), Sources(repository="lab-prod"))
    (step,) = [one for one in made if one.name in {"change", "lower"}]
    verb, spec = {
        ToolName.YUM: ("downgrade", "foo-2:1.9-1.noarch"),
        ToolName.ZYPPER: ("install", "foo.noarch=2:1.9-1"),
    }.get(tool, ("install", "foo-2:1.9-1.noarch"))
    assert verb in step.argv
    assert step.argv[-1] == spec
    assert "--oldpackage" in step.argv or tool is not ToolName.ZYPPER


@pytest.mark.parametrize("tool", _NEWER)
def test_c129_a_repository_that_went_back_is_followed(site: Published, host: Inside, tool: str) -> None:
    """Also by a dnf 5 that offers from the host itself what was once installed there, as Debian's does."""
    old, new = site.quick("foo", "1.9"), site.quick("foo", "1.12")
    _subscribe(host.machine, tool, site.repo())
    assert brought(host, aim(site, "update", new)).proven
    site.drop(new)
    outcome = brought(host, aim(site, "sync", old))
    assert (outcome.proven, nevras(outcome.after)) == (True, ["foo-1.9-1.noarch"]), outcome


@pytest.mark.parametrize("tool", _TOOLS)
def test_c131_packages_that_need_each_others_exact_version_go_down_together(
    site: Published, host: Inside, tool: str
) -> None:
    made = _family(site, "1.9", "1.12")
    _subscribe(host.machine, tool, site.repo())
    assert brought(host, aim(site, "update", *made["1.12"])).proven
    outcome = brought(host, aim(site, "downgrade", *made["1.9"]))
    assert (outcome.proven, nevras(outcome.after)) == (True, ["foo-1.9-1.noarch", "foo-libs-1.9-1.noarch"])


@pytest.mark.parametrize("tool", ["dnf", "dnf5"])
def test_c131_where_one_of_them_cannot_go_down_nothing_is_changed(site: Published, host: Inside, tool: str) -> None:
    made = _family(site, "1.9", "1.12")
    _subscribe(host.machine, tool, site.repo())
    assert brought(host, aim(site, "update", *made["1.12"])).proven
    site.drop(made["1.9"][1])
    outcome = brought(host, aim(site, "downgrade", made["1.9"][0]))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.UNMET)
    assert nevras(outcome.after) == ["foo-1.12-1.noarch"]
    assert sorted(host.machine.installed("foo", "foo-libs")) == ["foo-1.12-1.noarch", "foo-libs-1.12-1.noarch"]


@pytest.mark.parametrize("tool", _TOOLS)
def test_where_a_transaction_was_cut_short_a_host_is_not_taken_for_what_it_ran_before(
    site: Published, host: Inside, tool: str
) -> None:
    """rpm lists both builds then, and the files are those of the newer one. On the way back it is made whole."""
    old = site.quick("foo", "1.11", files={"/opt/foo": b"1.11\n"})
    new = site.quick("foo", "1.12", files={"/opt/foo": b"1.12\n"})
    _subscribe(host.machine, tool, site.repo())
    there = brought(host, aim(site, "update", old))
    host.machine.put("/root/foo.rpm", (site.folder / new.nevra.filename).read_bytes())
    host.machine.run("rpm", "--install", "--force", "--nosignature", "/root/foo.rpm")
    host.machine.run("rm", "/root/foo.rpm")
    assert sorted(host.machine.installed("foo")) == ["foo-1.11-1.noarch", "foo-1.12-1.noarch"]
    seen = look(host, aim(site, "downgrade", old))
    assert (seen.proven, seen.text) == (False, "has foo-1.12-1.noarch beside foo-1.11-1.noarch, expected that alone")
    back = restored(host, aim(site, "update", new), there.after)
    assert (back.proven, back.text) == (True, "removed foo-1.12-1.noarch, which was not there before"), back
    assert host.machine.installed("foo") == {"foo-1.11-1.noarch": old.header_sha256}
    assert host.machine.read("/opt/foo") == "1.11\n"


@pytest.mark.parametrize("tool", ["dnf", "dnf5"])
def test_c133_a_lock_held_for_five_seconds_is_waited_for(site: Published, host: Inside, tool: str) -> None:
    wanted = site.quick("foo", "1.12")
    _subscribe(host.machine, tool, site.repo())
    said: list[float] = []

    def sleep(seconds: float) -> None:
        said.append(seconds)
        host.machine.run("sleep", "0.1")
        if sum(said) > 4:
            stack.close()

    with contextlib.ExitStack() as stack:
        pid = stack.enter_context(host.machine.locked(tool))
        told: list[str] = []
        outcome = bring(
            host, aim(site, "update", wanted), run_id="r1", patience=Patience(lock=30), say=told.append, sleep=sleep
        )
    assert (outcome.proven, len(said)) == (True, 3)
    assert any(f"pid {pid} " in line for line in told)


@pytest.mark.parametrize(("tool", "lock"), [*((tool, tool) for tool in _TOOLS), ("dnf", "rpm"), ("dnf5", "rpm")])
def test_c133_a_lock_held_for_longer_is_told_with_the_holders_pid(
    site: Published, host: Inside, tool: str, lock: str
) -> None:
    wanted = site.quick("foo", "1.12")
    _subscribe(host.machine, tool, site.repo())
    machine = host.machine
    if lock == "rpm":
        hold = "import fcntl, time; f = open('/var/lib/rpm/.rpm.lock', 'a'); fcntl.lockf(f, fcntl.LOCK_EX)"
        script = f"{hold}; print(1, flush=True); time.sleep(600)"
        words = ["sh", "-c", 'python3 -c "$1" >/root/held 2>&1 & echo $!', "sh", script]
        pid = int(machine.run(*words).out)
        machine.run("sh", "-c", "until [ -s /root/held ]; do sleep 0.05; done")
        outcome = brought(host, aim(site, "update", wanted), patience=Patience(lock=3))
        machine.run("sh", "-c", f"kill -KILL {pid}; rm /root/held")
    else:
        with machine.locked(tool.removeprefix("newer ")) as pid:
            outcome = brought(host, aim(site, "update", wanted), patience=Patience(lock=3))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.LOCKED)
    assert f"pid {pid} " in outcome.text
    assert "waited 3 s" in outcome.text
    assert brought(host, aim(site, "update", wanted)).proven


@pytest.mark.parametrize("tool", _TOOLS)
def test_c134_a_key_that_is_not_trusted_is_said_and_never_imported_unasked(
    site: Published, host: Inside, tool: str
) -> None:
    """The .repo file offers its key over HTTP, as an attacker's mirror could: it is not taken from there."""
    wanted = site.quick("foo", "1.12")
    _subscribe(host.machine, tool, site.repo(key=f"{site.url}/key.asc"))
    outcome = brought(host, aim(site, "update", wanted, pinned=False))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.UNTRUSTED)
    assert "rpm --import" in outcome.text
    assert host.machine.run("rpm", "-q", "gpg-pubkey", check=False).rc == 1
    # Once a person imported it, it is trusted.
    host.machine.put("/root/key.asc", site.key.public)
    host.machine.run("rpm", "--import", "/root/key.asc")
    assert brought(host, aim(site, "update", wanted, pinned=False)).proven


@pytest.mark.parametrize("tool", _TOOLS)
def test_c134_only_the_pinned_key_is_imported(site: Published, host: Inside, tool: str) -> None:
    wanted = site.quick("foo", "1.12")
    other = make_key()
    _subscribe(host.machine, tool, site.repo(key=f"{site.url}/key.asc"))
    strange = aim(site, "update", wanted, key_file=other.public, keys=[other.fingerprint])
    outcome = brought(host, strange, run="r1")
    assert (outcome.proven, outcome.trouble) == (False, Trouble.UNTRUSTED)
    outcome = brought(host, aim(site, "update", wanted), run="r2")
    assert outcome.proven, outcome
    imported = host.machine.run("rpm", "-q", "gpg-pubkey", "--qf", "%{VERSION}\n").out.split()
    # rpm 6 says all of it.
    assert any(site.key.fingerprint.lower().endswith(version) for version in imported)


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("dnf", "exclude filtering"),
        ("dnf5", "matches only excluded packages"),
        ("zypper", "remove lock"),
        ("newer zypper", "remove lock"),
    ],
)
def test_c137_what_the_host_filters_out_is_not_up_to_date(site: Published, host: Inside, tool: str, said: str) -> None:
    old, new = site.quick("foo", "1.11"), site.quick("foo", "1.12")
    _subscribe(host.machine, tool, site.repo())
    assert brought(host, aim(site, "update", old)).proven
    if tool.startswith("dnf"):
        _subscribe(host.machine, tool, site.repo("excludepkgs=foo"))
    else:
        host.machine.run("zypper", "--non-interactive", "addlock", "foo")
    outcome = brought(host, aim(site, "update", new))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.FILTERED)
    assert outcome.text.startswith("runs foo-1.11-1.noarch, expected foo-1.12-1.noarch: ")
    assert said in outcome.text


def test_c137_modules_that_hide_a_package_are_told(site: Published, host: Inside) -> None:
    """dnf's own words, from a fake: a modular repository is more than this lab makes."""
    wanted = site.quick("foo", "1.12")
    _subscribe(host.machine, "dnf", site.repo())
    text = "All matches were filtered out by modular filtering for argument: foo-1.12-1.noarch"
    host.machine.put("/usr/local/bin/dnf", f"#!/bin/sh\necho '{text}'\nexit 1\n", 0o755)
    outcome = brought(host, aim(site, "update", wanted))
    assert (outcome.trouble, text in outcome.text) == (Trouble.FILTERED, True)


@pytest.mark.parametrize(
    ("tool", "action"), [*zip(_TOOLS, ("reinstall", "update", "update", "reinstall"), strict=True)]
)
def test_c136_another_build_of_the_same_nevra_is_reinstalled_and_proven_by_its_digest(
    site: Published, host: Inside, tool: str, action: Action
) -> None:
    old = site.quick("foo", "1.12", summary="The first build")
    _subscribe(host.machine, tool, site.repo())
    assert brought(host, aim(site, "update", old)).proven
    new = site.quick("foo", "1.12", summary="Built anew")
    assert (new.nevra, new.header_sha256 == old.header_sha256) == (old.nevra, False)
    outcome = brought(host, aim(site, action, new))
    assert (outcome.proven, [one.header_sha256 for one in outcome.after]) == (True, [new.header_sha256])
    assert host.machine.installed("foo") == {"foo-1.12-1.noarch": new.header_sha256}
