"""What is decided about package tools: which one, which builds, which commands, which keys."""

from dataclasses import replace

import pytest

from repod.client.fleet import Aim, HostFault, Installed, Trouble, Wanted
from repod.client.pinned import pinned
from repod.client.toolkit import choosing, naming, offers, orders, planning, restarting
from repod.client.toolkit.asked import Change, Sources, ToolName
from repod.client.toolkit.facts import Configured, Facts
from repod.errors import Misconfigured
from repod.package import Nevra
from tests.lab.keys import Key, make_key

_ONE = Sources(repository="lab")


_SOLVABLES = """<stream>
<solvable status="installed" name="app" kind="package" edition="1:1.0-2" arch="noarch" repository="Lab"/>
<solvable name="x" kind="patch" edition="1" arch="noarch"/>
<solvable status="not-installed" name="lib" kind="package" edition="3-1" arch="x86_64"/>
</stream>
"""


def _nevra(text: str) -> Nevra:
    return Nevra.parse(text)


def _wanted(text: str, digest: str = "") -> Wanted:
    return Wanted(nevra=_nevra(text), header_sha256=digest * 64)


def _has(*texts: str, digest: str = "") -> list[Installed]:
    return [Installed(nevra=_nevra(text), header_sha256=digest * 64) for text in texts]


def _facts(kind: str = "yum", settings: dict[str, list[str]] | None = None, **tools: str) -> Facts:
    found = Configured(kind=kind, file="/x.repo", settings=settings or {})
    return Facts(arch="x86_64", tools=tools, repositories={(kind, "lab"): found})


def _aim(**more: object) -> Aim:
    plain = {"action": "update", "repository": "lab", "builds": [_wanted("app-1-1.noarch")], "generation": 1}
    return Aim(**(plain | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "real", "version", "tool"),
    [
        ("dnf", "/usr/bin/dnf-3", "4.14.0", ToolName.DNF),
        ("dnf", "/usr/bin/dnf5", "5.2.6", ToolName.DNF5),
        ("dnf", "/usr/bin/dnf", "5.1.0", ToolName.DNF5),
        ("dnf5", "/usr/bin/dnf5", "", ToolName.DNF5),
        ("yum", "/usr/bin/dnf-3", "4.14.0", ToolName.DNF),
        ("yum", "/usr/bin/dnf5", "", ToolName.DNF5),
        ("yum", "/usr/bin/yum", "3.4.3", ToolName.YUM),
        ("microdnf", "/usr/bin/microdnf", "3.8.0", ToolName.MICRODNF),
        ("microdnf", "/usr/bin/dnf5", "", ToolName.DNF5),
        ("zypper", "/usr/bin/zypper", "1.14", ToolName.ZYPPER),
    ],
)
def test_a_tool_is_what_its_program_is_not_what_it_is_called(
    name: str, real: str, version: str, tool: ToolName
) -> None:
    assert choosing.known(name, real, version) is tool


def test_of_several_tools_the_one_whose_settings_have_the_repository_is_asked() -> None:
    both = {"dnf": "/usr/bin/dnf-3", "zypper": "/usr/bin/zypper"}
    assert choosing.chosen(_facts("zypp", **both), "lab") == (ToolName.ZYPPER, "zypper")
    assert choosing.chosen(_facts("yum", **both), "lab") == (ToolName.DNF, "dnf")


def test_a_host_without_a_tool_that_is_known_is_told_what_it_has() -> None:
    with pytest.raises(HostFault, match="found tdnf") as caught:
        choosing.chosen(_facts(tdnf="/usr/bin/tdnf"), "lab")
    assert caught.value.trouble is Trouble.NO_TOOL


def test_keys_from_elsewhere_are_never_taken_by_themselves() -> None:
    facts = _facts(settings={"gpgkey": ["file:///etc/a, https://host/key"]}, dnf="/usr/bin/dnf-3")
    assert choosing.sources(facts, ToolName.DNF, _aim()).mute == ["lab"]
    assert choosing.sources(facts, ToolName.DNF, _aim(keys=["A" * 40])).mute == []
    local = _facts(settings={"gpgkey": ["file:///etc/a"]}, dnf="/usr/bin/dnf-3")
    assert choosing.sources(local, ToolName.DNF, _aim()).mute == []
    # microdnf would take them, and cannot be told not to.
    with pytest.raises(HostFault, match=r"https://host/key without being asked") as caught:
        choosing.sources(facts, ToolName.MICRODNF, _aim())
    assert caught.value.trouble is Trouble.UNTRUSTED
    unchecked = _facts(settings={"gpgkey": ["https://host/key"], "gpgcheck": ["0"]})
    assert choosing.sources(unchecked, ToolName.MICRODNF, _aim()).mute == ["lab"]


def test_a_host_takes_builds_of_its_own_architecture_or_noarch() -> None:
    builds = [_wanted("app-1-1.x86_64"), _wanted("app-1-1.aarch64"), _wanted("data-1-1.noarch")]
    assert [str(one.nevra) for one in planning.own(builds, _facts())] == ["app-1-1.x86_64", "data-1-1.noarch"]
    with pytest.raises(HostFault, match="no build of app for aarch64: there are some for x86_64"):
        planning.own(builds[:1], replace(_facts(), arch="aarch64"))
    assert [arch for arch in ("i386", "i686", "x86_64") if Facts(arch="i686").takes(arch)] == ["i386", "i686"]
    assert Facts(arch="armv7l").takes("armv7hl")


def test_a_package_that_is_there_for_two_architectures_is_changed_in_both() -> None:
    builds = [_wanted(f"{name}-2-1.{arch}") for name in ("lib", "app") for arch in ("x86_64", "i686", "aarch64")]
    there = _has("lib-1-1.x86_64", "lib-1-1.i686", "app-1-1.x86_64")
    found = planning.own([*builds, _wanted("lib-1-1.i686")], replace(_facts(), installed=there))
    assert [str(one.nevra) for one in found] == ["lib-2-1.x86_64", "app-2-1.x86_64", "lib-2-1.i686"]
    assert planning.unproven(found, [*_has("lib-2-1.x86_64", "app-2-1.x86_64"), there[1]]) == [
        "runs lib-2-1.x86_64, lib-1-1.i686, expected lib-2-1.i686"
    ]


@pytest.mark.parametrize(
    ("wanted", "installed", "kind"),
    [
        ("app-1.1-1.noarch", [], "installs"),
        ("app-1.1-1.noarch", ["app-1.0-1.noarch"], "ups"),
        ("app-1.9-1.noarch", ["app-1.10-1.noarch"], "downs"),
        ("app-1.0-1.noarch", ["app-1:0.9-1.noarch"], "downs"),
        ("app-1.0-1.x86_64", ["app-0.9-1.noarch"], "ups"),
        ("app-1.0-1.x86_64", ["app-2.0-1.i686"], "installs"),
    ],
)
def test_what_has_to_change_follows_from_what_is_installed(wanted: str, installed: list[str], kind: str) -> None:
    change = planning.change("downgrade", [_wanted(wanted)], _has(*installed))
    assert [name for name in ("installs", "ups", "downs", "again") if getattr(change, name)] == [kind]


def test_the_same_nevra_is_the_same_build_only_where_the_digest_is_the_same() -> None:
    there = _has("app-1-1.noarch", digest="a")
    assert planning.change("update", [_wanted("app-1-1.noarch", "a")], there).empty
    assert planning.change("update", [_wanted("app-1-1.noarch", "b")], there).again == [_nevra("app-1-1.noarch")]
    assert planning.unproven([_wanted("app-1-1.noarch", "b")], there)[0].startswith("runs another build of app-1-1")
    # An old rpm tells no digest.
    old = _has("app-1-1.noarch")
    assert planning.change("update", [_wanted("app-1-1.noarch", "b")], old).empty
    assert planning.undigested([_wanted("app-1-1.noarch", "b")], old)
    assert not planning.undigested([_wanted("app-1-1.noarch", "a")], there)


def test_sync_installs_nothing_and_follows_up_and_down() -> None:
    wanted = [_wanted("a-1-1.noarch"), _wanted("b-2-1.noarch"), _wanted("c-1-1.noarch")]
    change = planning.change("sync", wanted, _has("a-2-1.noarch", "b-1-1.noarch"))
    assert change.follows == ["a", "b"]
    made = orders.steps(ToolName.YUM, "yum", change, _ONE)
    assert [step.name for step in made] == ["refresh", "follow"]
    assert made[-1].argv[-3:] == ["distro-sync", "a", "b"]
    # Not every microdnf has distro-sync.
    made = orders.steps(ToolName.MICRODNF, "microdnf", change, _ONE)
    assert made[-1].argv[-3:] == ["install", "b-2-1.noarch", "a-1-1.noarch"]


def test_the_way_back_knows_what_was_not_there() -> None:
    change = planning.back(_has("a-1-1.noarch"), _has("a-2-1.noarch", "b-1-1.noarch"))
    assert (change.downs, change.removes) == ([_nevra("a-1-1.noarch")], ["b"])
    assert planning.unproven_back(_has("a-1-1.noarch"), _has("a-1-1.noarch", "b-1-1.noarch")) == [
        "still has b-1-1.noarch"
    ]


def test_a_newer_build_beside_the_wanted_one_is_what_runs() -> None:
    """As a transaction that was cut short leaves them, and as kernels stand side by side."""
    both = _has("a-1-1.noarch", "a-2-1.noarch")
    wanted = [_wanted("a-1-1.noarch")]
    assert planning.unproven(wanted, both) == ["has a-2-1.noarch beside a-1-1.noarch, expected that alone"]
    with pytest.raises(HostFault, match=r"runs a-2-1.noarch, newer than a-1-1.noarch, and an update does not go down"):
        planning.change("update", wanted, both)
    assert planning.change("sync", wanted, both).follows == ["a"]
    assert planning.change("update", [_wanted("a-2-1.noarch")], both).empty
    assert planning.unproven([_wanted("a-2-1.noarch")], both) == []


def test_the_way_back_takes_away_what_was_put_beside_and_installs_again_what_it_had_replaced() -> None:
    before, after = _has("a-1-1.noarch"), _has("a-1-1.noarch", "a-2:2-1.noarch")
    change = planning.back(before, after)
    assert planning.unproven_back(before, after) != []
    made = orders.steps(ToolName.DNF, "dnf", change, _ONE)
    assert [step.argv[-2:] for step in made] == [["--erase", "a-2-1.noarch"], ["reinstall", "a-1-1.noarch"]]
    # What stood side by side before stays so.
    assert planning.back(after, after).empty
    assert planning.unproven_back(after, after) == []
    three = _has("a-1-1.noarch", "a-2:2-1.noarch", "a-2:3-1.noarch")
    assert planning.back(after, three).leftovers == [_nevra("a-2:3-1.noarch")]


def test_dnf_uses_only_what_is_named_asks_anew_and_waits_for_nobody() -> None:
    sources = Sources(repository="lab", bases=["base"], key_file="/run/k.asc", mute=["base"], own_keys="/run/o.asc")
    change = Change(installs=[_nevra("a-1-1.noarch")], downs=[_nevra("b-2:1-1.noarch")], again=[_nevra("c-1-1.noarch")])
    first, second = orders.steps(ToolName.DNF, "dnf", change, sources)
    assert first.argv == [
        "dnf",
        "--assumeyes",
        "--refresh",
        "--best",
        "--disablerepo=*",
        "--enablerepo=lab,base",
        "--setopt=lab.skip_if_unavailable=0",
        "--setopt=base.skip_if_unavailable=0",
        "--setopt=lab.gpgkey=file:///run/k.asc",
        "--setopt=base.gpgkey=file:///run/o.asc",
        "--setopt=exit_on_lock=1",
        "install",
        "a-1-1.noarch",
        "b-2:1-1.noarch",
    ]
    assert second.argv[-2:] == ["reinstall", "c-1-1.noarch"]
    assert not any("allowerasing" in word for step in (first, second) for word in step.argv)


def test_yum_goes_down_and_up_by_two_verbs_and_forgets_its_cache_first() -> None:
    change = Change(ups=[_nevra("a-2-1.noarch")], downs=[_nevra("b-1-1.noarch"), _nevra("c-1-1.noarch")])
    made = orders.steps(ToolName.YUM, "yum", change, _ONE)
    assert [step.name for step in made] == ["refresh", "lower", "change"]
    assert made[0].argv[-2:] == ["clean", "expire-cache"]
    assert made[1].argv[-3:] == ["downgrade", "b-1-1.noarch", "c-1-1.noarch"]


def test_microdnf_gets_no_settings_and_its_keys_through_rpm() -> None:
    made = orders.steps(
        ToolName.MICRODNF, "microdnf", Change(ups=[_nevra("a-2-1.noarch")]), replace(_ONE, key_file="/k")
    )
    assert [step.argv for step in made] == [
        ["rpm", "--import", "/k"],
        ["microdnf", "-y", "--disablerepo=*", "--enablerepo=lab", "clean", "all"],
        ["microdnf", "-y", "--disablerepo=*", "--enablerepo=lab", "install", "a-2-1.noarch"],
    ]


def test_zypper_follows_one_repository() -> None:
    made = orders.steps(ToolName.ZYPPER, "zypper", Change(follows=["a"]), replace(_ONE, bases=["base"]))
    assert made[-1].argv[-7:] == ["dist-upgrade", "--repo", "lab", "--repo", "base", "--from", "lab"]
    assert made[-1].argv[:4] == ["env", "ZYPP_LOCK_TIMEOUT=0", "zypper", "--non-interactive"]


def test_removals_go_through_rpm_which_takes_nothing_along() -> None:
    (step,) = orders.steps(ToolName.DNF, "dnf", Change(removes=["a", "b"]), _ONE)
    assert step.argv == ["rpm", "--erase", "a", "b"]


@pytest.mark.parametrize(
    ("tool", "output"),
    [
        (ToolName.DNF, "Lab  5.7 MB/s\n@app|1|1.0|2|noarch\n@lib|0|3|1|x86_64\n"),
        (ToolName.DNF5, "Updating and loading repositories:\n@app|1|1.0|2|noarch\n@lib|0|3|1|x86_64\n"),
        (ToolName.YUM, "Loaded plugins: x\nAvailable Packages\napp.noarch   1:1.0-2\n     lab\nlib.x86_64 3-1 lab\n"),
        (ToolName.MICRODNF, "Downloading metadata...\napp-1:1.0-2.noarch\nlib-3-1.x86_64\n"),
        (ToolName.ZYPPER, _SOLVABLES),
    ],
)
def test_what_is_offered_is_read_from_each_tools_own_form(tool: ToolName, output: str) -> None:
    assert [str(one) for one in offers.offered(tool, output)] == ["app-1:1.0-2.noarch", "lib-3-1.x86_64"]


def test_of_what_is_offered_the_newest_of_what_is_there_counts() -> None:
    offered = [_nevra(text) for text in ("a-1.9-1.noarch", "a-1.10-1.noarch", "a-2-1.aarch64", "b-1-1.noarch")]
    assert planning.newest(offered, _has("a-1-1.noarch"), _facts()) == [_nevra("a-1.10-1.noarch")]


@pytest.mark.parametrize("tool", [*ToolName])
def test_every_tool_is_asked_what_the_repository_alone_offers(tool: ToolName) -> None:
    made = orders.offer(tool, "it", ["a", "b"], replace(_ONE, bases=["base"], mute=["base"]))
    assert made[-1].name == "offer"
    assert made[-1].argv[-2:] == ["a", "b"]
    assert not any("base" in word for step in made for word in step.argv)


@pytest.mark.parametrize(
    ("tool", "code", "output", "due"),
    [
        (ToolName.DNF, 1, "Core libraries have been updated:\n  * glibc\n\nReboot is required to fully utilize", True),
        (ToolName.DNF5, 0, "No core libraries or services have been updated.\nReboot should not be necessary.", False),
        (ToolName.DNF, 1, "No such command: needs-restarting. Please use /usr/bin/dnf --help", None),
        (ToolName.YUM, 0, "No core libraries or services have been updated.\nReboot should not be necessary.", False),
        (ToolName.ZYPPER, 102, "Reboot is required to ensure that your system benefits from these updates.", True),
        (ToolName.ZYPPER, 0, "No core libraries or services have been updated.", False),
        (ToolName.ZYPPER, 5, "Root privileges are required", None),
    ],
)
def test_whether_a_reboot_is_due_is_told_or_unknown(tool: ToolName, code: int, output: str, due: bool | None) -> None:
    assert restarting.due(tool, code, output) is due


def test_services_are_told_by_name_and_noise_is_passed_over() -> None:
    assert restarting.services(ToolName.DNF, 0, "Updating things\nb.service\na@1.service\n\n") == [
        "a@1.service",
        "b.service",
    ]
    assert restarting.services(ToolName.ZYPPER, 0, "sshd\ncron\n") == ["cron", "sshd"]
    assert restarting.services(ToolName.DNF, 1, "a.service") == []
    assert restarting.questions(ToolName.MICRODNF, "microdnf", {}) is None
    assert restarting.questions(ToolName.DNF, "dnf", {"dnf": "/usr/bin/dnf-3"}) is None
    asked = restarting.questions(ToolName.DNF5, "dnf", {})
    assert asked is not None
    # From its cache it would want documents that no update fetched.
    assert asked.reboot == ["dnf", "--disablerepo=*", "needs-restarting", "-r"]
    assert restarting.questions(ToolName.YUM, "yum", {}) is None
    assert restarting.questions(ToolName.YUM, "yum", {"needs-restarting": "/usr/bin/needs-restarting"}) is not None


@pytest.mark.parametrize("name", ["-x", "a b", "a;b", "a*", "", "a/b", "ä", "$(id)"])
def test_names_that_rpm_does_not_allow_go_nowhere(name: str) -> None:
    nevra = replace(_nevra("app-1-1.noarch"), name=name)
    assert list(naming.faults_of_build(nevra))
    with pytest.raises(Misconfigured):
        naming.check_aim(_aim(repository=name))
    with pytest.raises(Misconfigured):
        naming.check_run(name)
    with pytest.raises(Misconfigured):
        naming.check_services([name])


def test_names_with_all_that_rpm_allows_are_fine() -> None:
    assert not list(naming.faults_of_build(_nevra("libx++_1.2-3:1.0~rc1^git+5-1.el9_4.x86_64")))
    naming.check_aim(_aim(bases=["rhel-9-for-x86_64-baseos-rpms", "copr:copr.fedorainfracloud.org:a:b"]))
    naming.check_run("20261126T081500Z-web-prod-3f2a-r2")
    naming.check_services(["getty@tty1.service", "app"])
    with pytest.raises(Misconfigured, match="no builds to update"):
        naming.check_aim(_aim(builds=[]))


def test_of_a_key_file_only_the_pinned_keys_are_taken(key: Key) -> None:
    other = make_key("ed25519")
    both = other.public + key.public
    assert pinned(both, ()) == b""
    taken = pinned(both, (key.fingerprint,))
    assert taken.count(b"BEGIN PGP") == 1
    assert pinned(taken, (key.fingerprint.lower(),)) == taken
    with pytest.raises(Misconfigured, match=f"does not hold the pinned key {other.fingerprint}"):
        pinned(key.public, (key.fingerprint, other.fingerprint))
    with pytest.raises(Misconfigured):
        pinned(b"not a key", (key.fingerprint,))
