"""`repod-agent` as far as it is pure: settings, phases, what to do, words for package tools, steps that may be cut."""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import pytest

from repod.hosts.agent.acting import Actor, Began, Result
from repod.hosts.agent.deciding import Here, decide, identity, number, runs, starts
from repod.hosts.agent.document import Build, Phase, Ring, opened, parse
from repod.hosts.agent.machine import parse_rpm
from repod.hosts.agent.programs import Ended, ask, run
from repod.hosts.agent.repofile import find
from repod.hosts.agent.settings import Settings, load
from repod.hosts.agent.settings import parse as parse_settings
from repod.hosts.agent.state import State, StateFile
from repod.hosts.agent.tools import Tool, locked, words
from repod.hosts.faults import Malformed, Unreachable, WrongUse
from repod.windows import Window
from tests.lab.pull import IDS

_ROOT = Path(__file__).parents[2]
_REQUIRED = {"repository": "apps", "ring": "web", "key": "/key.asc"}
_OLD = Build.parse("hello-1.0-1.noarch", "a" * 64)
_NEW = Build.parse("hello-1.0-2.noarch", "b" * 64)


def ring(*builds: Build, percent: int = 100, since: float = 0.0, **more: object) -> Ring:
    made = Ring(
        builds=builds or (_NEW,),
        phases=[Phase(percent, since)],
        spread=0.0,
        windows=(),
        on_failure="downgrade",
        check=False,
        paused=False,
        salt="web/1",
    )
    return replace(made, **more)  # type: ignore[arg-type]


def here(*installed: Build, **more: object) -> Here:
    by_name = {name: tuple(same) for name, same in itertools.groupby(installed, key=lambda build: build.name)}
    return replace(Here(machine=IDS[0], arch="x86_64", installed=by_name), **more)  # type: ignore[arg-type]


# ---------------------------------------------------------------- phases


def test_of_200_hosts_about_30_percent_are_in_a_phase_of_30() -> None:
    for salt in ("web/1", "web/2", "db/1"):
        share = sum(number(machine, salt) < 30 for machine in IDS) / len(IDS)
        assert 0.2 < share < 0.4


def test_who_is_in_at_10_percent_stays_in_at_30_and_keeps_his_turn() -> None:
    first = ring(percent=10, since=1000.0, spread=3600.0)
    second = replace(first, phases=[*first.phases, Phase(30, 5000.0)])
    before = {machine: starts(first, machine) for machine in IDS}
    after = {machine: starts(second, machine) for machine in IDS}
    early = [machine for machine in IDS if before[machine] is not None]
    late = [machine for machine in IDS if before[machine] is None and after[machine] is not None]
    assert 5 < len(early) < len(early) + len(late) < 100
    assert [before[machine] for machine in early] == [after[machine] for machine in early]
    assert all(5000.0 <= (after[machine] or 0.0) < 8600.0 for machine in late)


def test_hosts_begin_all_over_the_time_that_a_phase_is_spread_over() -> None:
    begins = sorted(starts(ring(spread=4000.0, since=100.0), machine) or 0.0 for machine in IDS)
    assert 100.0 <= begins[0] < 300.0
    assert 3900.0 < begins[-1] < 4100.0
    assert max(after - before for before, after in itertools.pairwise(begins)) < 400.0


def test_other_builds_begin_with_other_hosts() -> None:
    first = {machine for machine in IDS if number(machine, "web/1") < 10}
    second = {machine for machine in IDS if number(machine, "web/2") < 10}
    assert len(first & second) < len(first) / 2


# ---------------------------------------------------------------- what to do


@pytest.mark.parametrize(
    ("ring", "here", "what"),
    [
        (ring(), here(_OLD), "act"),
        (ring(), here(_NEW), "current"),
        (ring(), here(replace(_NEW, header_sha256="c" * 64)), "act"),  # the same NEVRA, another build
        (ring(), here(), "nothing"),
        (ring(), here(install=("hel*",)), "act"),
        (ring(replace(_NEW, arch="aarch64")), here(_OLD), "nothing"),
        (ring(), here(_OLD, held=(identity(_NEW),)), "held"),
        (ring(), here(_OLD, held=(identity(_OLD),)), "act"),
        (ring(paused=True), here(_OLD), "paused"),
        (ring(check=True), here(_OLD), "unchecked"),
        (ring(check=True), here(_OLD, checks=True), "act"),
        (ring(percent=0), here(_OLD), "phase"),
        (ring(since=2000.0), here(_OLD), "phase"),
        (ring(windows=[Window.parse("12:00-13:00 UTC")]), here(_OLD), "window"),
        (ring(windows=[Window.parse("12:00-13:00 UTC"), Window.parse("00:00-01:00 UTC")]), here(_OLD), "act"),
        (ring(), here(_OLD, windows=[Window.parse("12:00-13:00 UTC")]), "window"),
        (ring(paused=True), here(_NEW), "current"),
    ],
)  # fmt: skip
def test_what_a_host_does_follows_from_its_ring_and_itself(ring: Ring, here: Here, what: str) -> None:
    assert decide(ring, here, 1000.0).what == what


def test_a_build_of_the_hosts_own_architecture_goes_before_one_for_all() -> None:
    own, other = replace(_NEW, arch="x86_64"), replace(_NEW, arch="aarch64")
    for order in itertools.permutations([_NEW, own, other]):
        assert decide(ring(*order), here(_OLD), 1000.0).wanted == (own,)


# ---------------------------------------------------------------- settings and files


def test_the_example_of_settings_shows_every_key_with_its_default(tmp_path: Path) -> None:
    text = (_ROOT / "config/repod-agent.conf").read_text()
    assert text == (_ROOT / "repod/hosts/files/repod-agent.conf").read_text()
    shown = {
        line.lstrip("#").split(" = ")[0].removesuffix(" =")
        for line in text.splitlines()
        if " =" in line and line[:2] != "# "
    }
    assert shown == {field.name for field in fields(Settings)}
    path = tmp_path / "agent.conf"
    path.write_text(text.replace("repository = el9-prod", "repository = el9-prod\nhost = web1"))
    plain = load(path)
    # Every commented key with a value of its own says the default; the others are examples, or empty.
    defaults = re.sub(r"(?m)^#(?!(?:restart|check) =)(\w+ = \S.*)$", r"\1", path.read_text())
    path.write_text(defaults)
    assert load(path) == plain


def test_units_and_their_copies_for_installing_are_the_same() -> None:
    for unit in ("repod-agent.service", "repod-agent.timer"):
        assert (_ROOT / "systemd" / unit).read_text() == (_ROOT / "repod/hosts/files" / unit).read_text()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ring": ""}, "ring: is required"),
        ({"colour": "red"}, "colour: no such setting"),
        ({"key": "key.asc"}, "key: expected a whole path"),
        ({"repository": "--x"}, "repository: expected letters"),
        ({"url": "ftp://x/"}, "url: expected a URL"),
        ({"check": "curl x"}, "check: expected the whole path of a program"),
        ({"check": "/bin/sh 'x"}, "check: expected a command line"),
        ({"windows": "at night"}, "windows: expected a window"),
        ({"fingerprints": "DEADBEEF"}, "fingerprints: expected full fingerprints"),
        ({"transaction": "soon"}, "transaction: expected a time"),
        ({"tool": "apt"}, "tool: expected one of"),
        ({"on_failure": "panic"}, "on_failure: expected one of"),
        ({"report": "https://x"}, "report and token_file: expected both"),
    ],
)  # fmt: skip
def test_a_setting_that_is_wrong_is_named_with_what_was_expected(values: dict[str, str], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        parse_settings({**_REQUIRED, **values})


@pytest.mark.parametrize(
    ("lines", "url", "wanted"),
    [
        (["baseurl=https://r.example.com/apps/"], "", "https://r.example.com/apps/"),
        (["metalink=https://r.example.com/apps/metalink.xml"], "", "https://r.example.com/apps/"),
        (["mirrorlist=https://r.example.com/apps/mirrorlist"], "", "https://r.example.com/apps/"),
        (["baseurl=https://$x/"], "https://r.example.com/a", "https://r.example.com/a/"),
        ([], "s3://bucket/a+b/", "http://127.0.0.1:8471/bucket/a%2Bb/"),
    ],
)  # fmt: skip
def test_the_repository_lies_where_its_repo_file_or_the_settings_say(
    tmp_path: Path, lines: list[str], url: str, wanted: str
) -> None:
    (tmp_path / "a.repo").write_text("[other]\nbaseurl=https://other/\n")
    (tmp_path / "b.repo").write_text("\n".join(["[apps]", "username=u", "password=a%b", *lines]))
    source = find(parse_settings({**_REQUIRED, "url": url}), [tmp_path])
    assert (source.url, source.user, source.password) == (wanted, "u", "a%b")


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://web1:p%40ss@r.example.com:8470/apps/", ("https://r.example.com:8470/apps/", "web1", "p@ss")),
        ("https://web1:p@ss@r.example.com/apps", ("https://r.example.com/apps/", "web1", "p@ss")),
        ("https://r.example.com/apps/?credentials=repod", ("https://r.example.com/apps/", "web2", "a=b c")),
        ("https://web1@r.example.com/?auth=basic&credentials=repod", ("https://r.example.com/", "web2", "a=b c")),
    ],
)  # fmt: skip
def test_name_and_password_may_stand_in_the_url_or_in_a_file_of_zypper(
    tmp_path: Path, url: str, wanted: tuple[str, str, str]
) -> None:
    (tmp_path / "a.repo").write_text(f"[apps]\nbaseurl={url}\n")
    (tmp_path / "repod").write_text("# for repod\nusername = web2\npassword=a=b c\n")
    source = find(parse_settings(_REQUIRED), [tmp_path], tmp_path)
    assert (source.url, source.user, source.password) == wanted


def test_a_file_of_credentials_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "a.repo").write_text("[apps]\nbaseurl=https://r.example.com/?credentials=repod\n")
    with pytest.raises(WrongUse, match="repod: credentials cannot be read"):
        find(parse_settings(_REQUIRED), [tmp_path], tmp_path)


def test_what_is_told_of_a_url_is_without_its_password(tmp_path: Path) -> None:
    """Package tools name what they cannot read as the .repo file has it; it goes to the journal, and to people."""
    told = "Status code: 404 for https://web1:s3cr@et@r.example.com/apps/repodata/repomd.xml (IP: 127.0.0.1)"
    ended = run(["echo", told], 10, tmp_path / "log", {})
    assert ended.last == told.replace("web1:s3cr@et@", "")
    assert str(WrongUse(f"expected another, found {told}")) == f"expected another, found {ended.last}"


def test_a_repository_without_a_place_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"expected a \.repo file with \[apps\]"):
        find(parse_settings(_REQUIRED), [tmp_path])
    (tmp_path / "a.repo").write_text("[apps]\nbaseurl=https://$host/\n")
    with pytest.raises(WrongUse, match="set url"):
        find(parse_settings(_REQUIRED), [tmp_path])


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "document": 1, "signature": ""}', b"\xff"]
)
def test_what_is_no_rollout_file_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        opened(data)
    with pytest.raises(Malformed):
        parse(data)


def test_a_file_that_is_nested_deeper_than_any_parser_goes_is_none_either() -> None:
    with pytest.raises(Malformed, match="expected a rollout file of repod"):
        opened(b"[" * 2_000_000)


def test_what_programs_write_is_for_root_alone(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_text("of an older agent")
    log.chmod(0o644)
    assert run(["sh", "-c", "umask 022; echo said; umask"], 10.0, log, {}).out == "said\n0022\n"
    assert log.stat().st_mode & 0o777 == 0o600
    log.unlink()
    log.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        run(["true"], 10.0, log, {})


def test_a_program_that_does_not_end_is_named_and_waited_for_no_longer() -> None:
    with pytest.raises(Unreachable, match=r"sleep: no end within 0\.1 s"):
        ask(["sleep", "60"], 0.1)


def test_what_rpm_prints_is_read_with_epochs_and_without_digests() -> None:
    text = f"@hello|0|1.0|1|noarch|{'a' * 64}|7\npackage nope is not installed\n@lib++|2|1.0~rc1|1|x86_64|(none)|8\n"
    found = parse_rpm(text)
    assert found == {"hello": [_OLD], "lib++": [Build("lib++", 2, "1.0~rc1", "1", "x86_64")]}
    assert str(found["lib++"][0]) == "lib++-2:1.0~rc1-1.x86_64"


def test_of_two_builds_that_rpm_lists_the_one_that_was_installed_last_is_what_runs() -> None:
    """As a transaction that was cut short leaves them."""
    lines = [f"@hello|0|1.0|2|noarch|{'b' * 64}|1700000002", f"@hello|0|1.0|1|noarch|{'a' * 64}|1700000001"]
    there = parse_rpm("\n".join(lines))
    assert there == {"hello": [_OLD, _NEW]}
    assert (runs(_OLD, there), runs(_NEW, there)) == (False, True)
    other = Build.parse("hello-1.0-2.i686", "b" * 64)
    assert runs(Build.parse("hello-1.0-1.x86_64"), {"hello": [Build.parse("hello-1.0-1.x86_64"), other]})


# ---------------------------------------------------------------- package tools


def test_each_tool_is_told_the_exact_build_the_one_repository_and_the_one_key() -> None:
    def said(kind: str) -> list[str]:
        return [" ".join(command) for command in words(Tool(kind, kind), ["apps", "base"], Path("/k ey"), [_NEW])]

    only = "--disablerepo=* --enablerepo=apps --enablerepo=base"
    strict = (
        "--setopt=apps.skip_if_unavailable=0 --setopt=base.skip_if_unavailable=0 "
        "--setopt=apps.gpgcheck=1 --setopt=apps.gpgkey=file:///k%20ey --setopt=base.gpgkey="
    )
    spec, wait = "hello-0:1.0-2.noarch", "--setopt=exit_on_lock=1"
    assert said("dnf") == [f"dnf -y --refresh --best {only} {strict} {wait} install {spec}"]
    assert said("dnf5") == [f"dnf5 -y --refresh --best {only} {strict} install {spec}"]
    verbs = ("clean expire-cache", f"install {spec}", f"downgrade {spec}")
    assert said("yum") == [f"yum -y {only} {strict} {wait} {verb}" for verb in verbs]
    imported = "rpm --import /k ey"
    assert said("microdnf") == [imported, f"microdnf -y {only} clean all", f"microdnf -y {only} install {spec}"]
    assert said("zypper") == [
        imported,
        "zypper --non-interactive refresh --force apps",
        "zypper --non-interactive install --oldpackage --repo apps --repo base hello.noarch=0:1.0-2",
    ]


def test_a_lock_that_another_tool_holds_is_told_from_a_failure() -> None:
    assert locked(Tool("dnf", ""), Ended(200, ""))
    assert locked(Tool("zypper", ""), Ended(7, "System management is locked by the application with pid 7"))
    assert not locked(Tool("dnf", ""), Ended(1, "Error: Unable to find a match"))
    assert not locked(Tool("dnf", ""), Ended(0, ""))


# ---------------------------------------------------------------- steps that may be cut anywhere


class Cut(Exception):
    """The agent is killed."""


class Hosting:
    """A host in memory; ``cuts`` counts down to where the agent is killed: before, or after, one of its changes."""

    def __init__(self, *, well: bool = True, cuts: int = -1) -> None:
        self.there = {"hello": (_OLD,)}
        self.well = well
        self.cuts = cuts
        self.state = State()
        self.changes = 0

    def cut(self) -> None:
        self.cuts -= 1
        if self.cuts == 0:
            raise Cut

    def load(self) -> State:
        return self.state

    def save(self, state: State) -> None:
        self.cut()
        self.state = state
        self.cut()

    def installed(self, names: Collection[str]) -> Mapping[str, Sequence[Build]]:
        return {name: self.there[name] for name in names if name in self.there}

    def change(self, builds: Sequence[Build], began: Began) -> str:
        began(7, "8")
        self.cut()
        self.there |= {build.name: (build,) for build in builds}
        self.changes += 1
        self.cut()
        return ""

    def remove(self, names: Collection[str], _began: Began) -> str:
        for name in names:
            del self.there[name]
        return ""

    def wait(self, _pid: int, _begun: str) -> bool:
        return True

    def restart(self, _facts: Mapping[str, str]) -> str:
        self.cut()
        return ""

    def check(self, _facts: Mapping[str, str]) -> str:
        self.cut()
        return "" if self.well or self.there["hello"] == (_OLD,) else "it is not well"


def whole(host: Hosting) -> Iterator[Result]:
    """Runs until one is not cut, as the timer begins them."""
    while True:
        actor = Actor(host, host.load, host.save, lambda: False)
        try:
            pending = host.load().pending
            result = actor.carry_on(pending, still=True) if pending else None
            if result is None and (host.there["hello"] == (_NEW,) or host.load().held):
                return
            yield result or actor.begin([_NEW], "downgrade")
        except Cut:
            continue
        return


@pytest.mark.parametrize("well", [True, False])
def test_wherever_a_run_is_cut_the_next_one_ends_what_it_began(well: bool) -> None:
    for cuts in range(1, 40):
        host = Hosting(well=well, cuts=cuts)
        results = list(whole(host))
        assert host.state.pending is None
        assert host.there == {"hello": (_NEW,) if well else (_OLD,)}
        assert host.state.held == (() if well else (identity(_NEW),))
        assert host.changes <= (2 if well else 4)
        if cuts > 30:
            assert [result.what for result in results] == ["updated" if well else "downgraded"]


def test_a_change_that_did_not_begin_is_tried_again_and_blames_no_build() -> None:
    host = Hosting()
    host.change = lambda _builds, _began: "no room"  # type: ignore[method-assign]
    result = Actor(host, host.load, host.save, lambda: False).begin([_NEW], "downgrade")
    assert (result.what, "no room" in result.text) == ("failed", True)
    assert (host.state.pending, host.state.held) == (None, ())


def test_a_change_to_something_else_than_was_named_is_undone() -> None:
    host = Hosting()
    real = host.change

    def once_wrong(builds: Sequence[Build], began: Began) -> str:
        host.change = real  # type: ignore[method-assign]
        return real([replace(build, header_sha256="c" * 64) for build in builds], began)

    host.change = once_wrong  # type: ignore[method-assign]
    result = Actor(host, host.load, host.save, lambda: False).begin([_NEW], "downgrade")
    assert (result.what, host.there, host.state.held) == ("downgraded", {"hello": (_OLD,)}, (identity(_NEW),))


def test_a_way_back_that_fails_is_tried_again_until_the_ring_names_something_else() -> None:
    host = Hosting(well=False)
    real = host.change
    host.change = lambda builds, began: "gone" if builds == [_OLD] else real(builds, began)  # type: ignore[method-assign]
    actor = Actor(host, host.load, host.save, lambda: False)
    assert actor.begin([_NEW], "downgrade").what == "failed"
    pending = host.state.pending
    assert pending is not None
    assert actor.carry_on(pending, still=True) == Result(
        "failed",
        "hello-1.0-1.noarch: cannot be installed again (gone); tried again: health check failed (it is not well)",
    )
    assert actor.carry_on(pending, still=False) is None
    assert (host.state.pending, host.state.held) == (None, (identity(_NEW),))


def test_who_is_asked_to_stop_begins_nothing_new() -> None:
    host = Hosting()
    with pytest.raises(Unreachable, match="the next run carries on"):
        Actor(host, host.load, host.save, lambda: True).begin([_NEW], "downgrade")
    assert host.there == {"hello": (_OLD,)}


def test_what_is_remembered_is_read_again_as_it_was(tmp_path: Path) -> None:
    host, file = Hosting(well=False, cuts=9), StateFile(tmp_path)
    with pytest.raises(Cut):
        Actor(host, host.load, host.save, lambda: False).begin([_NEW], "downgrade")
    state = replace(host.state, serial=7, why="because", last={"text": "x"})
    assert state.pending is not None
    file.save(state)
    assert file.load() == state
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(WrongUse, match="cannot be read"):
        file.load()
