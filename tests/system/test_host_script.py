"""``host.sh``, the text that runs on hosts: under each shell that hosts have, and on a host."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from repod.client.fleet import HostFault, Ran, Trouble
from repod.client.talk import Patience, Talk
from repod.client.toolkit.asked import Step
from repod.client.toolkit.facts import SCRIPT, framed, read
from tests.lab.inside import Inside, actions
from tests.lab.machines import Machines
from tests.lab.rpms import tool
from tests.lab.wait import until

_SCRIPT = Path(__file__).parents[2] / "repod/client/toolkit/host.sh"
_SHELLS = (["dash"], ["bash"], ["busybox", "ash"])


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]) -> Iterator[Machines]:
    with Machines(tmp_path_factory.mktemp("script"), 1) as hosts:
        yield hosts


@pytest.fixture
def inside(machines: Machines) -> Iterator[Inside]:
    inside = Inside(machines[0])
    yield inside
    # A step that was killed has a shell above it, which would yet write how it ended.
    machines[0].run("pkill", "-KILL", "-f", "repod-run/.*/run.sh", check=False)
    machines[0].run("rm", "-rf", "/var/lib/repod-run", "/run/repod-run")


def _talk(inside: Inside, run: str = "r1", **patience: float) -> Talk:
    return Talk(connection=inside, run=run, patience=Patience(**{"follow": 5.0, "lost": 20.0, **patience}))


def _step(script: str, name: str = "s1-do", *words: str) -> Step:
    return Step(name=name, argv=["sh", "-c", script, "sh", *words])


def test_the_script_is_clean_posix_sh() -> None:
    done = subprocess.run([tool("shellcheck"), "--shell=sh", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("shell", _SHELLS, ids="-".join)
def test_every_shell_of_hosts_runs_it(inside: Inside, shell: Sequence[str]) -> None:
    """Noise of log-in shells around the answer does not matter."""

    def ask(*words: str) -> Sequence[Sequence[str]]:
        noisy = f'echo welcome; {" ".join(shell)} -s -- "$@"; echo bye'
        done = inside.machine.run("sh", "-c", noisy, "sh", *words, data=SCRIPT)
        return framed(Ran(code=0, out=done.out))

    # Debian's busybox has an rpm of its own, which knows no database.
    names = [] if shell[0] == "busybox" else ["lab-base", "nothing-of-the-kind"]
    facts = read(ask("facts", "lab-prod", *names), names)
    assert (facts.system, facts.version, facts.arch) == ("almalinux", "9.4", "x86_64")
    assert [one.nevra.name for one in facts.installed] == names[:1]
    assert ask("start", "r1", "s1-a", "20", "65536", "sh", "-c", 'printf "%s\\n" "$@"', "sh", "a  b", "'\"$x")[0] == [
        "state",
        "started",
    ]
    rows = ask("follow", "r1", "s1-a", "20")
    assert rows[0] == ["state", "ended", "0"]
    assert [row[0] for row in rows if row[0].startswith("|")] == ["|a  b", "|'\"$x"]
    assert ask("steps", "r1") == [["step", "s1-a", "ended", "0"]]


def test_part_of_the_script_does_nothing(inside: Inside) -> None:
    """A connection that is cut while the text is sent leaves nothing behind."""
    for size in range(500, len(SCRIPT) - 40, 1500):
        inside.machine.run("sh", "-s", "--", "start", "r9", "s", "9", "9", "true", data=SCRIPT[:size], check=False)
    assert inside.machine.run("ls", "/var/lib/repod-run", check=False).rc != 0


def test_a_command_runs_once_however_often_it_is_started(inside: Inside) -> None:
    talk = _talk(inside)
    step = _step("echo once >>/root/count; sleep 0.3; exit 3")
    talk.started(step)
    ended = [talk.carried(step), talk.carried(step)]
    assert [one.code for one in ended] == [3, 3]
    assert inside.machine.read("/root/count") == "once\n"
    inside.machine.run("rm", "/root/count")


def test_two_that_start_the_same_at_once_run_it_once(inside: Inside) -> None:
    words = ["start", "r1", "s1-both", "20", "65536", "sh", "-c", "echo once >>/root/count"]
    both = 'cat >/tmp/script; for i in 1 2 3 4 5 6; do sh -s -- "$@" </tmp/script >/dev/null & done; wait'
    inside.machine.run("sh", "-c", both, "sh", *words, data=SCRIPT)
    assert _talk(inside).followed("s1-both").code == 0
    assert inside.machine.read("/root/count") == "once\n"
    inside.machine.run("rm", "/root/count")


def test_a_command_goes_on_where_the_connection_ends(inside: Inside) -> None:
    talk = _talk(inside)
    inside.cut = lambda argv: "follow" in actions(argv) and inside.actions().count("follow") < 3
    ended = talk.carried(_step("sleep 2.5; echo done"))
    assert (ended.code, ended.output) == (0, "done")
    assert inside.actions().count("follow") >= 3
    assert inside.actions().count("start") == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_what_may_not_have_arrived_is_begun_where_the_host_knows_nothing_of_it_in_the_same_boot(
    inside: Inside, *, restarted: bool
) -> None:
    talk = _talk(inside)
    talk.facts([], [])
    if restarted:
        talk.seen.boot = "11111111-aaaa"

    def cut(argv: Sequence[str]) -> bool:
        if "start" in actions(argv) and inside.actions().count("start") == 1:
            raise HostFault(Trouble.LOST, "the connection ended before anything was sent")
        return False

    inside.cut = cut
    ended = talk.carried(_step("echo done"))
    assert (ended.code, ended.output) == ((None, "") if restarted else (0, "done"))
    assert inside.actions()[1:] == ["start", "follow", "follow", "same", "start", "follow"]
    assert len(talk.steps()) == (not restarted)


def test_facts_and_packages_come_with_the_end_and_are_those_after_it(inside: Inside) -> None:
    talk = _talk(inside)
    talk.seen.counting = True
    before = talk.look(["lab-prod"], ["lab-base"])
    inside.asked.clear()
    ended = talk.carried(_step("rm -f /etc/machine-id"), then=(["lab-prod"], ["lab-base"]))
    after = talk.latest(["lab-prod"], ["lab-base"])
    assert (ended.code, before.machine != "", after.machine) == (0, True, "")
    assert talk.seen.packages == "lab-base-1.0-1.noarch\n"
    assert inside.actions() == ["start", "follow", "facts", "packages"]
    assert len(inside.asked) == 1
    talk.carried(_step("echo", "s2-do"))
    assert (talk.seen.facts, talk.seen.packages) == (None, "")
    inside.machine.put("/etc/machine-id", "0" * 32 + "\n")


def test_of_long_output_the_beginning_and_the_end_are_kept(inside: Inside) -> None:
    """Ten million bytes: nothing blocks, little is kept on the host, and what is left out is said."""
    talk = _talk(inside)
    part = 'head -c 524288 /dev/zero | tr "\\0" x; echo; sleep 0.1'
    ended = talk.carried(_step(f"echo first; for i in $(seq 20); do {part}; done; echo last"))
    assert ended.code == 0
    assert ended.output.startswith("first\nx")
    assert ended.output.endswith("x\nlast")
    assert "bytes left out" in ended.output
    assert len(ended.output) < 200_000
    assert int(inside.machine.run("du", "-sk", "/var/lib/repod-run").out.split()[0]) < 3000


def test_a_command_that_prompts_is_ended_and_its_last_words_are_told(inside: Inside) -> None:
    """It has no terminal and no input; where it waits all the same, its time is over on the host itself."""
    talk = _talk(inside, limit=1)
    ended = talk.carried(_step("printf 'Continue? [y/N] '; exec sleep 600"))
    assert ended.code == 124
    assert ended.output == "Continue? [y/N] "


def test_a_question_on_standard_input_gets_no_answer(inside: Inside) -> None:
    ended = _talk(inside).carried(_step("if read -r answer; then echo got $answer; else echo none; fi"))
    assert ended.output == "none"


def test_a_daemon_that_keeps_the_output_open_does_not_keep_the_command(inside: Inside) -> None:
    """Scriptlets begin services with the output that they have."""
    ended = _talk(inside).carried(_step("(trap '' HUP; exec setsid sleep 30) & echo done"))
    assert (ended.code, ended.output) == (0, "done")


def test_a_command_that_was_killed_is_told_as_such(inside: Inside) -> None:
    talk = _talk(inside)
    talk.started(_step("echo begun; exec sleep 600"))
    until(
        lambda: "begun" in inside.machine.run("cat", "/var/lib/repod-run/r1/s1-do/output", check=False).out,
        10,
        "the command",
    )
    inside.machine.run("pkill", "-KILL", "-f", "repod-run/r1/s1-do/run.sh")
    inside.machine.run("pkill", "-KILL", "-x", "sleep", check=False)
    ended = talk.followed("s1-do")
    assert (ended.code, ended.output) == (None, "begun")
    assert talk.steps() == {"s1-do": "died"}


def test_a_step_of_an_earlier_boot_is_dead_whatever_runs_under_its_pid(inside: Inside) -> None:
    talk = _talk(inside)
    talk.started(_step("exec sleep 600"))
    assert talk.steps() == {"s1-do": "running"}
    inside.machine.put("/var/lib/repod-run/r1/s1-do/boot", "00000000-0000-0000-0000-000000000000\n")
    assert talk.steps() == {"s1-do": "died"}
    inside.machine.run("pkill", "-KILL", "-x", "sleep", check=False)


def test_the_folder_of_a_run_is_private_and_old_ones_go(inside: Inside) -> None:
    _talk(inside, "old").carried(_step("true"))
    inside.machine.run("touch", "-d", "9 days ago", "/var/lib/repod-run/old")
    _talk(inside, "new").carried(_step("true"))
    listed = inside.machine.run("stat", "-c", "%n %a %U", "/var/lib/repod-run", "/var/lib/repod-run/new").out
    assert listed.splitlines() == ["/var/lib/repod-run 700 root", "/var/lib/repod-run/new 700 root"]
    assert inside.machine.run("ls", "/var/lib/repod-run").out == "new\n"


def test_on_a_full_disk_the_state_is_kept_in_memory(inside: Inside) -> None:
    inside.machine.fill()
    try:
        ended = _talk(inside).carried(_step("echo fine"))
        assert (ended.code, ended.output) == (0, "fine")
        assert inside.machine.run("ls", "/run/repod-run").out == "r1\n"
        inside.machine.run("sh", "-c", "rm -rf /run/repod-run; cat /dev/zero >/run/filler; :", check=False)
        with pytest.raises(HostFault, match="no room") as caught:
            _talk(inside, "r2").carried(_step("echo fine"))
        assert caught.value.trouble is Trouble.FULL
    finally:
        inside.machine.clear()
        inside.machine.run("rm", "-f", "/run/filler")


def test_under_systemd_a_step_is_a_unit_of_its_own(inside: Inside) -> None:
    """A package that restarts what brought the connection would end it otherwise; where systemd refuses, it goes on."""
    machine = inside.machine
    machine.run("mkdir", "-p", "/run/systemd/system")
    machine.put(
        "/usr/local/bin/systemd-run",
        '#!/bin/sh\nprintf "%s\\n" "$*" >>/root/units\nwhile [ "$1" != sh ]; do shift; done\nsetsid "$@" &\n',
        0o755,
    )
    try:
        assert _talk(inside).carried(_step("echo in a unit")).output == "in a unit"
        assert "--unit=repod-r1-s1-do" in machine.read("/root/units")
        machine.put("/usr/local/bin/systemd-run", "#!/bin/sh\nexit 1\n", 0o755)
        assert _talk(inside, "r2").carried(_step("echo without")).output == "without"
    finally:
        machine.run("rm", "-rf", "/run/systemd/system", "/usr/local/bin/systemd-run", "/root/units")


def test_facts_tell_settings_without_passwords_keys_and_locks(inside: Inside) -> None:
    machine = inside.machine
    text = (
        "[other]\nbaseurl=http://no/\n# [lab-prod]\n[lab-prod]\nname = Lab\nbaseurl = http://ann:s3cret@host/a\n"
        "  http://ann:s3cret@host/b\ngpgkey=file:///etc/pki/a\n  https://host/b\nexclude=foo*\n"
    )
    machine.put("/etc/yum.repos.d/lab.repo", text)
    with machine.locked("dnf") as pid:
        facts = _talk(inside).facts(["lab-prod", "missing"], ["lab-base"])
    found = facts.repositories["yum", "lab-prod"]
    assert found.settings["baseurl"] == ["http://host/a", "http://host/b"]
    assert found.keys == ["file:///etc/pki/a", "https://host/b"]
    assert found.settings["exclude"] == ["foo*"]
    assert list(facts.repositories) == [("yum", "lab-prod")]
    assert {lock.pid for lock in facts.locks} == {pid}
    assert "sleep" in str(facts.locks[0])
    assert facts.tools["dnf"].endswith("dnf-3")
    assert len(facts.machine) == 64
    assert facts.free["/"] > 0
    assert not _talk(inside).facts(["lab-prod"], ["lab-base"]).locks
    machine.run("rm", "/etc/yum.repos.d/lab.repo")


def test_who_holds_the_lock_of_rpm_itself_is_told(inside: Inside) -> None:
    hold = "import fcntl, time; f = open('/var/lib/rpm/.rpm.lock', 'a'); fcntl.lockf(f, fcntl.LOCK_EX)"
    script = f"{hold}; print(1, flush=True); time.sleep(600)"
    inside.machine.run("sh", "-c", 'python3 -c "$1" >/root/held 2>&1 & echo $! >/root/pid', "sh", script)
    until(lambda: inside.machine.read("/root/held"), 10, "the lock to be held")
    pid = int(inside.machine.read("/root/pid"))
    locks = _talk(inside).facts([], []).locks
    assert [(lock.pid, lock.file) for lock in locks] == [(pid, "/var/lib/rpm/.rpm.lock")]
    inside.machine.run("kill", "-KILL", str(pid))


def test_a_program_that_the_host_has_not_is_told_by_its_name(inside: Inside) -> None:
    """An answer made without it would look like one of a broken rpm."""
    inside.machine.run("mv", "/usr/bin/awk", "/root/awk")
    try:
        with pytest.raises(HostFault, match=r"the host has no awk, which repoctl needs there: install what has it"):
            _talk(inside).facts([], ["lab-base"])
    finally:
        inside.machine.run("mv", "/root/awk", "/usr/bin/awk")


def test_an_answer_that_is_not_whole_is_a_fault() -> None:
    for out in ("", "@@repod-begin@@\nos\tID\tx\n", "@@repod-end@@\n"):
        with pytest.raises(HostFault, match="did not answer as it should"):
            framed(Ran(code=0, out=out))


def test_shells_are_there() -> None:
    assert all(shutil.which(shell[0]) for shell in _SHELLS)
