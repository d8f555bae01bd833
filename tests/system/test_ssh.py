"""Hosts over SSH: real sshd, real shells, and everything that goes wrong between here and there."""

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repod.client.fleet import Host, HostFault, Limits, Ran, Transport, Trouble
from tests.lab.machine import Machine
from tests.lab.machines import Machines
from tests.lab.reached import ssh, wired
from tests.lab.sshkeys import ssh_key
from tests.lab.wait import until
from tests.lab.wire import Wire


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with Machines(tmp_path_factory.mktemp("hosts"), 3) as lab:
        yield lab


@pytest.fixture
def web1(machines: Machines) -> Machine:
    return machines[0]


def _run(transport: Transport, host: Host, *argv: str, **more: Any) -> Ran:
    with transport.connect(host) as connection:
        return connection.run(argv or ("hostname",), **more)


def _fault(transport: Transport, host: Host, *argv: str, **more: Any) -> HostFault:
    with pytest.raises(HostFault) as found:
        _run(transport, host, *argv, **more)
    return found.value


@contextmanager
def _shell(machine: Machine, path: str, user: str = "deploy") -> Iterator[None]:
    machine.run("usermod", "--shell", path, user)
    try:
        yield
    finally:
        machine.run("usermod", "--shell", "/bin/bash", user)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/usr/bin/tcsh", "/usr/bin/fish"])
def test_whatever_shell_logs_in_and_whatever_it_says_first_the_answer_is_the_commands(
    machines: Machines, web1: Machine, shell: str
) -> None:
    noise = "echo hello on out\necho hello on err >/dev/stderr\n"
    for place in (".bashrc", ".tcshrc", ".config/fish/config.fish"):
        web1.put(f"/home/deploy/{place}", noise)
    with _shell(web1, shell):
        ran = _run(ssh(machines), web1.host(), "printf", "%s|", "a'b", "c\nd", "\\n", "!x", root=True)
    assert (ran.code, ran.out, ran.err) == (0, "a'b|c\nd|\\n|!x|", "")
    web1.put("/home/deploy/.bashrc", "")


def test_an_account_that_runs_nothing_says_so_itself(machines: Machines, web1: Machine) -> None:
    with _shell(web1, "/usr/sbin/nologin"):
        fault = _fault(ssh(machines), web1.host())
    assert fault.trouble == Trouble.DENIED
    assert str(fault) == "web1: it runs no command for deploy: This account is currently not available."


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("MaxSessions 0", "web3: it runs no command for plain (Connect failed)"),
        ("ForceCommand echo only this >&2; exit 9", "web3: it runs no command for plain: only this"),
        (
            "ForceCommand internal-sftp",
            "web3: it runs no command for plain: This service allows sftp connections only.",
        ),
    ],
)
def test_a_host_that_lets_in_and_runs_nothing_is_told_from_one_that_was_lost(
    machines: Machines, rule: str, said: str
) -> None:
    machine = machines[2]
    config = machine.read("/etc/ssh/sshd_config")
    machine.stop_sshd()
    machine.put("/etc/ssh/sshd_config", f"{config}\nMatch User plain\n  {rule}\n")
    machine.start_sshd()
    try:
        fault = _fault(ssh(machines), machine.host("plain"), limits=Limits(seconds=60))
    finally:
        machine.stop_sshd()
        machine.put("/etc/ssh/sshd_config", config)
        machine.start_sshd()
    assert (fault.trouble, str(fault)[: len(said)]) == (Trouble.DENIED, said)


def test_sudo_that_is_not_there_or_wants_a_terminal_is_said(machines: Machines, web1: Machine) -> None:
    web1.put("/etc/sudoers.d/tty", "Defaults:deploy requiretty\n", 0o440)
    fault = _fault(ssh(machines), web1.host(), root=True)
    web1.run("rm", "/etc/sudoers.d/tty")
    assert (fault.trouble, "you must have a tty" in str(fault)) == (Trouble.SUDO, True)
    web1.run("mv", "/usr/bin/sudo", "/usr/bin/sudo-gone")
    fault = _fault(ssh(machines), web1.host(), root=True)
    web1.run("mv", "/usr/bin/sudo-gone", "/usr/bin/sudo")
    assert (fault.trouble, "sudo: not found" in str(fault)) == (Trouble.SUDO, True)
    assert _run(ssh(machines), web1.host("root"), "id", "-u", root=True).out == "0\n"


def test_a_host_that_is_down_or_has_no_address_is_unreachable(machines: Machines) -> None:
    machines[1].stop_sshd()
    fault = _fault(ssh(machines), machines[1].host())
    machines[1].start_sshd()
    where = f"{machines[1].address}:22"
    assert str(fault) == f"web2: {where} cannot be reached (Connection refused); see that it and its sshd run"
    assert fault.trouble == Trouble.UNREACHABLE
    fault = _fault(ssh(machines), Host(name="x", address="no-such-host.invalid"))
    assert (fault.trouble, "no address is known for 'no-such-host.invalid'" in str(fault)) == (
        Trouble.UNREACHABLE,
        True,
    )


def test_a_host_that_stands_still_is_unreachable_within_its_time(machines: Machines) -> None:
    machines[1].freeze()
    try:
        fault = _fault(ssh(machines, connect_timeout=0.5), machines[1].host())
    finally:
        machines[1].thaw()
    assert fault.trouble == Trouble.UNREACHABLE
    assert "takes connections, but did not speak SSH within 0.5 s" in str(fault)
    assert _run(ssh(machines), machines[1].host()).out == "web2\n"


def test_who_is_not_let_in_learns_with_what_it_was_tried(machines: Machines, tmp_path: Path) -> None:
    key = ssh_key().write(tmp_path / "stranger")
    fault = _fault(ssh(machines, identity=str(key)), machines[0].host())
    assert fault.trouble == Trouble.DENIED
    assert f"does not let deploy in with {key} (" in str(fault)
    locked = ssh_key("secret").write(tmp_path / "locked")
    fault = _fault(ssh(machines, identity=str(locked)), machines[0].host())
    assert (fault.trouble, f"{locked} is encrypted: give it to the agent with ssh-add" in str(fault)) == (
        Trouble.DENIED,
        True,
    )


def test_the_agent_has_keys_that_files_do_not_give(
    machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        env = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        ask = ["ssh-add", "-l"]  # which ends with 2 where no agent answers
        until(lambda: subprocess.run(ask, check=False, capture_output=True, env=env).returncode != 2, 30, "the agent")
        subprocess.run(["ssh-add", machines.identity], check=True, capture_output=True, env=env)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("HOME", str(tmp_path))
        locked = ssh_key("secret").write(tmp_path / "locked")
        assert _run(ssh(machines, identity=str(locked), agent=True), machines[0].host()).out == "web1\n"
        assert _run(ssh(machines, identity=[], agent=True), machines[0].host()).out == "web1\n"
        assert _fault(ssh(machines, identity=[]), machines[0].host()).trouble == Trouble.DENIED
    finally:
        agent.terminate()
        agent.wait()


def test_a_revoked_key_is_refused_and_an_authority_is_not_heeded(machines: Machines, tmp_path: Path) -> None:
    known = tmp_path / "known"
    line = f"{machines[0].address} {machines[0].key.public}\n"
    known.write_text(f"{line}@revoked * {machines[0].key.public}\n")
    fault = _fault(ssh(machines, known_hosts=str(known)), machines[0].host())
    assert (fault.trouble, f"which {known}:2 revokes" in str(fault)) == (Trouble.HOST_KEY, True)
    known.write_text(f"@cert-authority * {ssh_key().public}\n")
    fault = _fault(ssh(machines, known_hosts=str(known)), machines[0].host())
    assert (fault.trouble, f"{known}:1 trusts a certificate authority" in str(fault)) == (Trouble.HOST_KEY, True)


def test_the_kind_of_key_that_is_known_is_asked_for(machines: Machines, tmp_path: Path) -> None:
    machine = machines[2]
    machine.run("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "/etc/ssh/rsa_key")
    config = machine.read("/etc/ssh/sshd_config")
    machine.stop_sshd()
    machine.put("/etc/ssh/sshd_config", config + "HostKey /etc/ssh/rsa_key\n")
    machine.start_sshd()
    known = tmp_path / "known"
    public = " ".join(machine.read("/etc/ssh/rsa_key.pub").split()[:2])
    known.write_text(f"{machine.address} {public}\n")
    assert _run(ssh(machines, known_hosts=str(known)), machine.host()).out == "web3\n"
    machine.stop_sshd()
    machine.put("/etc/ssh/sshd_config", config)
    machine.start_sshd()
    # What is known is all that counts: another kind is another key.
    fault = _fault(ssh(machines, known_hosts=str(known)), machine.host())
    assert (fault.trouble, f"{known}:1 knows ssh-rsa" in str(fault)) == (Trouble.HOST_KEY, True)


def test_hashed_names_are_known_and_a_key_that_is_added_meanwhile_too(machines: Machines, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.touch()
    transport = ssh(machines, known_hosts=str(known))
    assert _fault(transport, machines[0].host()).trouble == Trouble.HOST_KEY
    known.write_text(machines.known_hosts.read_text())
    subprocess.run(["ssh-keygen", "-H", "-f", known], check=True, capture_output=True)
    assert _run(transport, machines[0].host()).out == "web1\n"


def test_ssh_config_is_heeded_where_there_is_one(machines: Machines, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host front\n  HostName {machines[0].address}\n  User deploy\n  IdentityFile {machines.identity}\n"
        f"  UserKnownHostsFile {machines.known_hosts}\n"
        f"Host behind\n  HostName {machines[1].address}\n  User root\n  IdentityFile {machines.identity}\n"
        f"  UserKnownHostsFile {machines.known_hosts}\n  ProxyJump front\n"
        f"Host piped\n  HostName {machines[2].address}\n  User root\n  IdentityFile {machines.identity}\n"
        f"  UserKnownHostsFile {machines.known_hosts}\n  ProxyCommand ssh -F {config} -W %h:%p front\n"
    )
    transport = ssh(machines, config=str(config), identity=[], known_hosts=[])
    names = [_run(transport, Host(name=name, address=name)).out for name in ("front", "behind", "piped")]
    assert names == ["web1\n", "web2\n", "web3\n"]


def test_jump_hosts_are_shared_held_to_their_keys_and_closed_after_the_last(machines: Machines, web1: Machine) -> None:
    transport = ssh(machines, jump=f"root@{web1.address}")
    meet = threading.Barrier(3)

    def one(number: int) -> str:
        with transport.connect(machines[number].host()) as connection:
            said = connection.run(["sh", "-c", "hostname; echo ${SSH_CONNECTION%% *}"]).out
            meet.wait(60)
            if number == 2:
                until(lambda: web1.run("pgrep", "-fc", "^sshd: root").out == "1\n", 30, "one connection for all")
            meet.wait(60)
            return said

    with ThreadPoolExecutor(3) as pool:
        # All come from the jump host, whose address is loopback's here.
        assert list(pool.map(one, range(3))) == [f"web{number}\n127.0.0.1\n" for number in (1, 2, 3)]
    until(lambda: web1.run("pgrep", "-fc", "^sshd: root", check=False).out == "0\n", 30, "the end of the jump")
    none = machines.folder / "no-one"
    none.write_text(f"{machines[1].address} {machines[1].key.public}\n")
    fault = _fault(ssh(machines, jump=f"root@{web1.address}", known_hosts=str(none)), machines[1].host())
    assert (fault.trouble, str(fault).startswith(f"web2: jump host {web1.address}: its host key is not known")) == (
        Trouble.HOST_KEY,
        True,
    )
    fault = _fault(transport, replace(machines[1].host(), port=1))
    assert (fault.trouble, f"jump host {web1.address} cannot reach" in str(fault)) == (Trouble.UNREACHABLE, True)


def test_a_jump_host_that_is_down_is_tried_once_for_all_that_wait_for_it(machines: Machines, web1: Machine) -> None:
    with Wire(web1.address, 22) as wire:
        jump = wired(machines, wire)
        transport = ssh(machines, jump=f"root@{jump.address}:{jump.port}", connect_timeout=2)
        web1.freeze()
        try:
            with ThreadPoolExecutor(8) as pool:
                faults = list(pool.map(lambda _: _fault(transport, machines[1].host()), range(8)))
        finally:
            web1.thaw()
        assert wire.connections == 1
    assert {fault.trouble for fault in faults} == {Trouble.UNREACHABLE}
    assert {str(fault).split(": ")[1] for fault in faults} == {f"jump host {jump.address}"}


def test_a_connection_that_is_cut_while_a_command_runs_is_lost_and_made_again(
    machines: Machines, web1: Machine
) -> None:
    with Wire(web1.address, 22) as wire, ssh(machines).connect(wired(machines, wire)) as connection:
        assert connection.run(["echo", "one"]).out == "one\n"
        # After some packets of SSH, so that something has come for certain.
        wire.cut_after(200_000)
        with pytest.raises(HostFault, match="web1: the connection was lost while a command ran") as found:
            connection.run(["sh", "-c", "head -c 2000000 /dev/zero | tr '\\0' x"])
        assert (found.value.trouble, set(found.value.output)) == (Trouble.LOST, {"x"})
        assert connection.run(["echo", "two"]).out == "two\n"
        # One that ends between two commands is nobody's loss.
        wire.cut()
        assert connection.run(["echo", "three"]).out == "three\n"
        assert wire.connections == 3


def test_a_connection_over_which_nothing_comes_any_more_is_given_up(machines: Machines, web1: Machine) -> None:
    with Wire(web1.address, 22) as wire, ssh(machines, keepalive=1.5).connect(wired(machines, wire)) as connection:
        # A command that says nothing for longer than that is fine, while its host answers.
        assert connection.run(["sleep", "5"]).code == 0

        def pull() -> None:
            until(lambda: web1.run("pgrep", "-x", "sleep", check=False).rc == 0, 60, "the command")
            wire.stall()

        with ThreadPoolExecutor(1) as pool:
            pulled = pool.submit(pull)
            with pytest.raises(HostFault, match=r"it answered nothing for 4\.5 s") as found:
                connection.run(["sleep", "600"], limits=Limits(seconds=250))
            pulled.result()
        web1.run("pkill", "-x", "sleep")
        assert found.value.trouble == Trouble.LOST
        wire.cut()
        wire.flow()
        assert connection.run(["echo", "again"]).out == "again\n"


def test_a_shell_that_is_killed_there_is_lost_not_a_success(machines: Machines, web1: Machine) -> None:
    fault = _fault(ssh(machines), web1.host(), "sh", "-c", "echo text; kill -KILL $PPID; sleep 1")
    assert (fault.trouble, fault.output) == (Trouble.LOST, "text")


def test_many_hosts_at_a_time_take_one_thread_each(machines: Machines) -> None:
    transport, before = ssh(machines), threading.active_count()
    meet = threading.Barrier(40)
    most: list[int] = []

    def one(number: int) -> str:
        with transport.connect(machines[number % 3].host()) as connection:
            said = connection.run(["hostname"]).out
            if meet.wait(120) == 0:
                most.append(threading.active_count() - before)
            meet.wait(120)
            return said

    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(one, number) for number in range(40)]
        faults = [str(fault) for fault in (one.exception() for one in asked) if fault is not None]
    assert faults == []
    assert [one.result() for one in asked] == [f"web{number % 3 + 1}\n" for number in range(40)]
    assert most[0] <= 80  # those of the pool, and one of paramiko's for each
    until(lambda: threading.active_count() <= before, 60, "the end of all threads")
