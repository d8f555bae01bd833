"""One host brought to its aim: real dnf and zypper, faults in the middle, and the way back."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from repod.client.bring import look
from repod.client.fleet import Installed, Trouble, Wanted
from repod.client.restarts import settle
from repod.client.talk import Patience
from repod.package import Nevra
from tests.lab import rpms
from tests.lab.deploying import PATIENCE, aim, brought, nevras, restored
from tests.lab.inside import Inside, actions
from tests.lab.keys import Key, make_key
from tests.lab.machines import Machines
from tests.lab.published import Published, published

_TOOLS = ("dnf", "zypper")
_LONG = Patience(limit=120, lock=20, follow=60, lost=60)  # a busy machine needs no second question for the end
_UNTIL_LET_GO = "echo ran >>/root/ran; until [ -e /root/go ]; do sleep 0.1; done"
_LEFT = ("/root/ran", "/root/go", "/root/twice")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]) -> Iterator[Machines]:
    with Machines(tmp_path_factory.mktemp("bring"), 1) as hosts:
        yield hosts


@pytest.fixture
def site(tmp_path: Path, key: Key) -> Iterator[Published]:
    with published(tmp_path / "site", key) as site:
        yield site


@pytest.fixture
def host(machines: Machines, site: Published) -> Iterator[Inside]:
    """The host as it is new, with dnf that has the repository."""
    machine = machines[0]
    machine.run("cp", "-a", "/var/lib/rpm", "/root/rpm")
    machine.put("/etc/yum.repos.d/lab.repo", site.repo())
    yield Inside(machine)
    machine.run("sh", "-c", "rm -rf /var/lib/rpm /etc/yum.repos.d/* /etc/zypp/repos.d/* /var/cache/dnf/*")
    machine.run("sh", "-c", "mv /root/rpm /var/lib/rpm; rm -rf /var/lib/repod-run /var/cache/zypp /usr/local/bin/*")
    machine.run("rm", "-f", *_LEFT)


def _with(host: Inside, site: Published, tool: str) -> None:
    if tool == "zypper":
        host.machine.run("rm", "/etc/yum.repos.d/lab.repo")
        host.machine.put("/etc/zypp/repos.d/lab.repo", site.repo())


def test_a_host_that_runs_what_is_wanted_is_proven_without_a_transaction(site: Published, host: Inside) -> None:
    wanted = site.quick("app", "1.0")
    assert brought(host, aim(site, "update", wanted)).proven
    host.asked.clear()
    noted: list[Sequence[Installed]] = []
    outcome = brought(host, aim(site, "update", wanted), run="r2", note=noted.append)
    assert (outcome.proven, outcome.text) == (True, "")
    assert host.actions() == ["steps", "facts"]
    assert noted == [outcome.before]
    assert look(host, aim(site, "update", wanted)).proven


def test_a_look_changes_nothing_and_tells_what_runs(site: Published, host: Inside) -> None:
    wanted = site.quick("app", "1.0")
    outcome = look(host, aim(site, "update", wanted))
    assert (outcome.proven, outcome.trouble, outcome.text) == (
        False,
        Trouble.NOT_PROVEN,
        "runs no app, expected app-1.0-1.noarch",
    )
    assert host.actions() == ["facts"]


def test_what_it_ran_is_told_before_anything_is_changed(site: Published, host: Inside) -> None:
    old, new = site.quick("app", "1.0"), site.quick("app", "1.1")
    assert brought(host, aim(site, "update", old)).proven
    noted: list[Sequence[str]] = []

    def note(before: Sequence[Installed]) -> None:
        noted.append([*nevras(before), *host.machine.installed("app")])

    outcome = brought(host, aim(site, "update", new), note=note)
    assert noted == [["app-1.0-1.noarch", "app-1.0-1.noarch"]]
    assert (nevras(outcome.before), nevras(outcome.after)) == (["app-1.0-1.noarch"], ["app-1.1-1.noarch"])


@pytest.mark.parametrize("tool", _TOOLS)
def test_a_host_goes_back_to_what_it_ran_and_what_was_not_there_goes(site: Published, host: Inside, tool: str) -> None:
    _with(host, site, tool)
    old, new, more = site.quick("app", "1.0"), site.quick("app", "1.1"), site.quick("more", "1.1")
    assert brought(host, aim(site, "update", old)).proven
    wanted = aim(site, "update", new, more)
    there = brought(host, wanted, run="r2")
    assert (there.proven, nevras(there.before)) == (True, ["app-1.0-1.noarch"])
    back = restored(host, wanted, there.before, run="r2")
    assert (back.proven, back.text) == (True, "removed more, which was not there before")
    assert host.machine.installed() == {"app-1.0-1.noarch": old.header_sha256}
    # Forth and back again in one run: every attempt is its own.
    assert brought(host, wanted, run="r2").proven
    assert restored(host, wanted, there.before, run="r2").proven


def test_what_others_require_is_not_removed_on_the_way_back(site: Published, host: Inside) -> None:
    wanted = aim(site, "update", site.quick("app", "1.0"))
    assert brought(host, wanted).proven
    assert brought(host, aim(site, "update", site.quick("user", "1.0", requires=["app"]))).proven
    back = restored(host, wanted, [])
    assert (back.proven, back.trouble) == (False, Trouble.FAILED)
    assert "still has app-1.0-1.noarch" in back.text
    assert sorted(host.machine.installed()) == ["app-1.0-1.noarch", "user-1.0-1.noarch"]


def test_a_build_that_is_listed_no_more_cannot_be_gone_back_to(site: Published, host: Inside) -> None:
    old, new = site.quick("app", "1.0"), site.quick("app", "1.1")
    assert brought(host, aim(site, "update", old)).proven
    wanted = aim(site, "update", new)
    there = brought(host, wanted)
    site.drop(old)
    back = restored(host, wanted, there.before)
    assert (back.proven, back.trouble) == (False, Trouble.NOT_OFFERED)
    assert back.text.startswith("runs app-1.1-1.noarch, expected app-1.0-1.noarch: ")


@pytest.mark.parametrize("tool", _TOOLS)
def test_sync_follows_a_repository_that_went_back_and_leaves_others_alone(
    site: Published, host: Inside, tool: str
) -> None:
    _with(host, site, tool)
    old, new, other = site.quick("app", "1.0"), site.quick("app", "1.1"), site.quick("other", "1.0")
    assert brought(host, aim(site, "update", new, other)).proven
    site.drop(new)
    site.quick("unwanted", "1.0")
    records = {old.nevra: old, other.nevra: other}

    def record(builds: Sequence[Nevra]) -> Sequence[Wanted]:
        return [records[nevra] for nevra in builds]

    outcome = brought(host, aim(site, "sync"), record=record)
    assert (outcome.proven, outcome.text) == (True, "")
    assert sorted(host.machine.installed()) == ["app-1.0-1.noarch", "other-1.0-1.noarch"]
    # With builds, only those names follow; what is not there is not installed.
    assert brought(host, aim(site, "sync", old, site.quick("absent", "1.0")), run="r2").proven
    assert sorted(host.machine.installed()) == ["app-1.0-1.noarch", "other-1.0-1.noarch"]


def test_an_update_does_not_go_down(site: Published, host: Inside) -> None:
    old, new = site.quick("app", "1.0"), site.quick("app", "1.1")
    assert brought(host, aim(site, "update", new)).proven
    outcome = brought(host, aim(site, "update", old))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.FAILED)
    assert "an update does not go down" in outcome.text


def test_only_the_named_repositories_are_used(site: Published, host: Inside, tmp_path: Path, key: Key) -> None:
    """A requirement comes from a base that is named, and from none that is not; a broken third one hurts nobody."""
    with published(tmp_path / "base", key, "base") as base:
        base.quick("lib", "1.0")
        wanted = site.quick("app", "1.0", requires=["lib"])
        host.machine.put("/etc/pki/base.asc", key.public)
        text = base.repo(key="file:///etc/pki/base.asc")
        host.machine.put("/etc/yum.repos.d/base.repo", text)
        broken = text.replace("[base]", "[broken]").replace(base.url, "http://127.0.0.1:1")
        host.machine.put("/etc/yum.repos.d/broken.repo", broken)
        outcome = brought(host, aim(site, "update", wanted), run="r1")
        assert (outcome.proven, outcome.trouble) == (False, Trouble.UNMET)
        assert "[repository.NAME] bases" in outcome.text
        outcome = brought(host, aim(site, "update", wanted, bases=["nowhere"]), run="r2")
        assert (outcome.proven, outcome.trouble) == (False, Trouble.NO_REPOSITORY)
        assert brought(host, aim(site, "update", wanted, bases=["base"]), run="r3").proven


def test_a_repository_that_cannot_be_read_is_an_error_whatever_the_host_says(site: Published, host: Inside) -> None:
    """Debian's dnf.conf says skip_if_unavailable, with which dnf ends with 0."""
    wanted = site.quick("app", "1.0")
    host.machine.put(
        "/etc/yum.repos.d/lab.repo", site.repo("skip_if_unavailable=1").replace(site.url, "http://127.0.0.1:1")
    )
    outcome = brought(host, aim(site, "update", wanted))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.UNREADABLE)


def test_hosts_without_the_repository_or_a_tool_are_told_what_to_do(site: Published, host: Inside) -> None:
    wanted = site.quick("app", "1.0")
    host.machine.run("rm", "/etc/yum.repos.d/lab.repo")
    outcome = brought(host, aim(site, "update", wanted))
    assert outcome.trouble is Trouble.NO_REPOSITORY
    assert "put the repository's lab-prod.repo there" in outcome.text
    host.machine.put("/etc/zypp/repos.d/lab.repo", site.repo().replace("enabled=1", "enabled=0"))
    outcome = brought(host, aim(site, "update", wanted))
    assert outcome.trouble is Trouble.NO_REPOSITORY
    assert "zypper modifyrepo --enable lab-prod" in outcome.text


def test_a_key_file_with_another_key_than_the_pinned_one_goes_to_no_host(site: Published, host: Inside) -> None:
    other = make_key()
    wanted = aim(site, "update", site.quick("app", "1.0"), key_file=other.public)
    outcome = brought(host, wanted)
    assert (outcome.proven, outcome.trouble) == (False, Trouble.FAILED)
    assert f"does not hold the pinned key {site.key.fingerprint}: found {other.fingerprint}" in outcome.text
    assert host.asked == []
    # Of several, those that are pinned go there.
    both = aim(site, "update", *wanted.builds, key_file=other.public + site.key.public)
    assert brought(host, both).proven
    assert host.machine.run("rpm", "-q", "gpg-pubkey", "--qf", "%{VERSION}\n").out.split() == [
        site.key.fingerprint[-8:].lower()
    ]


def test_names_that_are_options_or_paths_go_to_no_host(site: Published, host: Inside) -> None:
    odd = Wanted(nevra=Nevra(name="--installroot=", epoch=0, version="1;id", release="1", arch="x"), header_sha256="")
    outcome = brought(host, aim(site, "update", odd, bases=["../x"]))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.FAILED)
    assert "not one that rpm allows" in outcome.text
    assert "'../x' is not the id of a repository" in outcome.text
    assert brought(host, aim(site, "update", site.quick("app", "1.0")), run="../../etc").trouble is Trouble.FAILED
    assert host.asked == []


# ------------------------------------------------------------------ faults


def test_a_full_disk_is_told_and_the_host_runs_what_it_ran(site: Published, host: Inside) -> None:
    old = site.quick("app", "1.0")
    new = site.quick("app", "1.1", files={"/usr/share/app/large": b"x" * 20_000_000})
    assert brought(host, aim(site, "update", old)).proven
    host.machine.fill(leave=6_000_000)
    try:
        outcome = brought(host, aim(site, "update", new))
    finally:
        host.machine.clear()
    assert (outcome.proven, outcome.trouble) == (False, Trouble.FULL), outcome
    assert nevras(outcome.after) == ["app-1.0-1.noarch"]
    assert brought(host, aim(site, "update", new)).proven  # the same run, once there is room


@pytest.mark.parametrize("tool", _TOOLS)
def test_a_scriptlet_that_refuses_is_told(site: Published, host: Inside, tool: str) -> None:
    _with(host, site, tool)
    wanted = site.quick("app", "1.0", scriptlets={"pre_install": "echo no database; exit 3"})
    outcome = brought(host, aim(site, "update", wanted))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.SCRIPTLET)
    assert "no database" in outcome.output


def test_a_scriptlet_that_fails_after_the_package_is_in_place_is_said_beside_the_proof(
    site: Published, host: Inside
) -> None:
    wanted = site.quick("app", "1.0", scriptlets={"post_install": "exit 3"})
    outcome = brought(host, aim(site, "update", wanted))
    assert outcome.proven
    assert "%post(app-1.0-1.noarch) scriptlet failed" in outcome.text


def test_a_scriptlet_that_waits_for_an_answer_gets_none_or_is_ended(site: Published, host: Inside) -> None:
    asks = site.quick(
        "asks", "1.0", scriptlets={"pre_install": "echo 'Accept? [y/n]'; read -r answer || exit 0; exit 1"}
    )
    assert brought(host, aim(site, "update", asks)).proven
    hangs = site.quick("hangs", "1.0", scriptlets={"pre_install": "echo 'Press a key'; exec sleep 600"})
    outcome = brought(host, aim(site, "update", hangs), patience=Patience(limit=20, follow=5, lock=10))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.TIME_LIMIT), outcome
    assert "Press a key" in outcome.output
    host.machine.run("pkill", "-KILL", "-x", "sleep", check=False)


def test_a_connection_that_is_cut_in_the_middle_of_a_transaction_is_made_again(site: Published, host: Inside) -> None:
    slow = site.quick("slow", "1.0", scriptlets={"pre_install": _UNTIL_LET_GO})

    def cut(argv: Sequence[str]) -> bool:
        if "follow" not in actions(argv) or host.actions().count("follow") == 1:
            return "follow" in actions(argv)
        host.machine.put("/root/go", "")
        return False

    host.cut, host.under_way = cut, (host.machine.root / "root/ran").exists
    outcome = brought(host, aim(site, "update", slow), patience=_LONG)
    assert outcome.proven
    assert (host.actions().count("follow"), host.actions().count("start")) == (2, 1)
    assert host.machine.read("/root/ran") == "ran\n"


def test_a_client_that_is_killed_leaves_a_transaction_that_the_next_one_follows(site: Published, host: Inside) -> None:
    """Whoever comes with the run's id waits for what it began, and does not begin it again."""
    slow = site.quick("slow", "1.0", scriptlets={"pre_install": _UNTIL_LET_GO})
    wanted = aim(site, "update", slow)
    killed = threading.Thread(target=_killed, args=(host, wanted))
    killed.start()
    killed.join()
    assert (host.machine.root / "root/ran").exists()
    assert not host.machine.installed("slow")
    resumed = Inside(host.machine)

    def let_go(argv: Sequence[str]) -> bool:
        if "follow" in actions(argv):
            host.machine.put("/root/go", "")
        return False

    resumed.cut = let_go
    outcome = brought(resumed, wanted, patience=_LONG)
    assert outcome.proven
    assert resumed.actions()[:4] == ["steps", "facts", "follow", "facts"]
    assert "start" not in resumed.actions()
    assert host.machine.read("/root/ran") == "ran\n"


def _killed(host: Inside, wanted: object) -> None:
    """A client that ends as it waits for the first answer after the start, when the transaction is under way."""

    class Gone(BaseException):
        pass

    host.cut = lambda argv: Gone() if "follow" in actions(argv) else False
    host.under_way = (host.machine.root / "root/ran").exists
    with contextlib.suppress(Gone):
        brought(host, wanted)  # type: ignore[arg-type]


def test_a_host_that_goes_down_in_a_transaction_is_told_and_may_be_tried_again(site: Published, host: Inside) -> None:
    slow = site.quick("slow", "1.0", scriptlets={"pre_install": "echo ran >>/root/ran; [ -e /root/twice ] || sleep 60"})
    wanted = aim(site, "update", slow)
    killed = threading.Thread(target=_killed, args=(host, wanted))
    killed.start()
    killed.join()
    assert (host.machine.root / "root/ran").exists()
    for words in (["-f", "repod-run/"], ["-x", "dnf"], ["-x", "sleep"]):
        host.machine.run("pkill", "-KILL", *words, check=False)
    host.machine.put("/root/twice", "")
    outcome = brought(Inside(host.machine), wanted)
    assert outcome.proven, outcome


# ------------------------------------------------------------------ tools that are not here


_PROGRAM = """#!/bin/sh
echo "$*" >>/root/calls
case "$*" in
*install*|*downgrade*) rpm --upgrade --oldpackage --nosignature /root/app.rpm && echo Complete! ;;
esac
"""


@pytest.mark.parametrize(
    ("program", "real", "verb"),
    [("yum", "yum", "downgrade"), ("dnf", "dnf5", "install"), ("microdnf", "microdnf", "install")],
)
def test_tools_that_are_not_here_are_found_asked_and_proven_by_rpm(
    site: Published, host: Inside, program: str, real: str, verb: str
) -> None:
    """A program in the tool's place, which does with rpm what it is asked for: the commands are what is tested."""
    machine = host.machine
    old, new = site.quick("app", "1.0"), site.quick("app", "1.1")
    assert brought(host, aim(site, "update", new)).proven
    machine.run("mkdir", "-p", "/root/away")
    machine.run("mv", "/usr/bin/dnf", "/usr/bin/zypper", "/root/away")
    try:
        machine.put(f"/usr/local/lib/{real}", _PROGRAM, 0o755)
        machine.run("ln", "-s", f"/usr/local/lib/{real}", f"/usr/local/bin/{program}")
        machine.put("/root/app.rpm", (site.folder / old.nevra.filename).read_bytes())
        outcome = brought(host, aim(site, "downgrade", old), run="r2")
        calls = machine.read("/root/calls").splitlines()
    finally:
        machine.run("sh", "-c", "mv /root/away/* /usr/bin/; rm -f /root/calls /root/app.rpm")
    assert outcome.proven, outcome
    assert calls[-1].endswith(f"{verb} app-1.0-1.noarch")
    assert "--disablerepo=* --enablerepo=lab-prod" in calls[-1]


# ------------------------------------------------------------------ restarts


def _fakes(host: Inside, *, needs: str = "", services: str = "", systemctl: str = "exit 0") -> None:
    """dnf that also knows needs-restarting, whose plug-in is not here, and systemctl without systemd."""
    host.machine.put("/usr/lib/python3/dist-packages/dnf-plugins/needs_restarting.py", "")
    reboot = {
        "yes": "echo Reboot is required to fully utilize these updates.; exit 1",
        "no": "echo Reboot should not be necessary.",
    }
    host.machine.put(
        "/usr/local/bin/dnf",
        '#!/bin/sh\ncase "$*" in\n'
        f"*needs-restarting*-r) {reboot.get(needs, 'echo No such command >&2; exit 1')} ;;\n"
        f"*needs-restarting*-s) printf '%b' '{services}' ;;\n"
        '*) exec /usr/bin/dnf "$@" ;;\nesac\n',
        0o755,
    )
    host.machine.put("/usr/local/bin/systemctl", f'#!/bin/sh\necho "$*" >>/root/systemctl\n{systemctl}\n', 0o755)


def test_what_still_runs_what_was_before_is_told(site: Published, host: Inside) -> None:
    _fakes(host, needs="yes", services="app.service\\ncrond.service\\nUpdating things\\n")
    wanted = aim(site, "update", site.quick("app", "1.0"))
    outcome = settle(host, wanted, brought(host, wanted), run_id="r1", policy="report", patience=PATIENCE)
    assert (outcome.proven, outcome.restart) == (True, ["reboot", "app.service", "crond.service"])


def test_where_nothing_can_tell_nothing_is_told_and_where_nothing_changed_nothing_is_asked(
    site: Published, host: Inside
) -> None:
    wanted = aim(site, "update", site.quick("app", "1.0"))
    outcome = settle(host, wanted, brought(host, wanted), run_id="r1", policy="report", patience=PATIENCE)
    assert (outcome.proven, outcome.restart) == (True, [])
    host.asked.clear()
    again = settle(host, wanted, brought(host, wanted, run="r2"), run_id="r2", policy="reboot", patience=PATIENCE)
    assert again.proven
    assert host.actions() == ["steps", "facts", "steps"]


def test_named_services_are_restarted_where_they_run_and_one_that_fails_is_unhealthy(
    site: Published, host: Inside
) -> None:
    _fakes(host, needs="no")
    wanted = aim(site, "update", site.quick("app", "1.0"))
    there = brought(host, wanted)
    how = {"run_id": "r1", "policy": "services", "services": ["app@1", "web"], "patience": PATIENCE}
    assert settle(host, wanted, there, **how).proven
    assert host.machine.read("/root/systemctl").splitlines() == ["try-restart -- app@1", "try-restart -- web"]
    back = restored(host, wanted, [])
    _fakes(host, needs="no", systemctl="echo Job for app failed. >&2; exit 1")
    outcome = settle(host, wanted, back, **how)
    assert (outcome.proven, outcome.trouble) == (False, Trouble.UNHEALTHY)
    assert outcome.text == "service app@1 could not be restarted: Job for app failed."
    host.machine.run("rm", "/root/systemctl")


def test_a_host_is_rebooted_where_that_is_due_and_proven_when_it_is_back(site: Published, host: Inside) -> None:
    boot = "/proc/sys/kernel/random/boot_id"
    _fakes(host, needs="yes", systemctl=f"echo 11111111-aaaa >/root/boot; mount --bind /root/boot {boot}")
    wanted = aim(site, "update", site.quick("app", "1.0"))
    there = brought(host, wanted)
    how = {"run_id": "r1", "policy": "reboot", "patience": PATIENCE}
    try:
        outcome = settle(host, wanted, there, **how)
    finally:
        host.machine.run("umount", boot, check=False)
    assert outcome.proven, outcome
    assert nevras(outcome.after) == ["app-1.0-1.noarch"]
    assert host.machine.read("/root/systemctl") == "reboot\n"
    host.machine.run("rm", "/root/systemctl", "/root/boot")


def test_a_host_that_does_not_come_back_is_told(site: Published, host: Inside) -> None:
    _fakes(host, needs="yes")
    wanted = aim(site, "update", site.quick("app", "1.0"))
    there = brought(host, wanted)
    outcome = settle(host, wanted, there, run_id="r1", policy="reboot", patience=Patience(reboot=3, follow=2))
    assert (outcome.proven, outcome.trouble) == (False, Trouble.UNREACHABLE)
    assert "did not come back within 3 s" in outcome.text
    host.machine.run("rm", "/root/systemctl")


def test_a_package_that_was_unpacked_by_hand_is_proven_by_digest_not_by_name(site: Published, host: Inside) -> None:
    """The host has another build of the wanted NEVRA, as rpm says: only a reinstall makes it the wanted one."""
    mine = rpms.quick(site.folder.parent, "app", "1.0", summary="By hand")
    host.machine.put("/root/app.rpm", mine.read_bytes())
    host.machine.run("rpm", "--install", "--nosignature", "/root/app.rpm")
    wanted = site.quick("app", "1.0")
    assert look(host, aim(site, "update", wanted)).text.startswith("runs another build of app-1.0-1.noarch")
    outcome = brought(host, aim(site, "update", wanted))
    assert (outcome.proven, list(host.machine.installed().values())) == (True, [wanted.header_sha256])
