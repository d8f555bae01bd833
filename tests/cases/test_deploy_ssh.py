"""Cases of kind deploy, over SSH: real sshd, real sudo."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from repod.client.fleet import HostFault, Limits, Trouble
from tests.lab.machines import Machines
from tests.lab.reached import ssh, wired
from tests.lab.wire import Wire


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with Machines(tmp_path_factory.mktemp("hosts"), 3) as lab:
        yield lab


def test_c139_much_output_on_both_streams_neither_blocks_nor_fills_memory(machines: Machines) -> None:
    much = "head -c 10000000 /dev/zero | tr '\\0' x; head -c 10000000 /dev/zero | tr '\\0' y >&2; exit 3"
    with ssh(machines).connect(machines[0].host()) as connection:
        ran = connection.run(["sh", "-c", much], limits=Limits(seconds=120, output=65536))
    assert (ran.code, ran.cut) == (3, True)
    for text, letter in ((ran.out, "x"), (ran.err, "y")):
        assert text == f"{letter * 32768}\n[9934464 bytes left out]\n{letter * 32768}"


def test_c141_sudo_that_wants_a_password_is_told_at_once_and_other_hosts_go_on(machines: Machines) -> None:
    transport = ssh(machines)
    hosts = [machines[0].host("nosudo"), machines[1].host(), machines[2].host("plain")]

    def one(number: int) -> str:
        try:
            with transport.connect(hosts[number]) as connection:
                return connection.run(["id", "-un"], root=True).out.strip()
        except HostFault as fault:
            return f"{fault.trouble}: {fault}"

    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(one, range(3)))
    rule = "with visudo, give it the rule: {0} ALL=(root) NOPASSWD: ALL"
    assert said == [
        f"sudo: web1: sudo needs a password for nosudo; {rule.format('nosudo')}",
        "root",
        f"sudo: web3: sudo needs a password for plain; {rule.format('plain')}",
    ]


def test_c142_a_prompt_without_a_line_end_is_seen_when_time_is_over(machines: Machines) -> None:
    asks = ["sh", "-c", "printf 'Password for x: '; exec sleep 600"]
    with ssh(machines).connect(machines[0].host()) as connection:
        with pytest.raises(HostFault) as found:
            connection.run(asks, limits=Limits(seconds=4))
        assert str(found.value) == "web1: sh did not end within 4 s; it wrote last: Password for x:"
        assert (found.value.trouble, found.value.output) == (Trouble.TIME_LIMIT, "Password for x:")
        assert connection.run(["echo", "next"]).out == "next\n"


def test_a_host_that_hangs_up_at_once_is_tried_again_and_told_with_what_may_be(machines: Machines) -> None:
    """So sshd does where it has too many connections; others come through a moment later."""
    with Wire(machines[0].address, 22) as wire:
        wire.cut_after(0)
        with ssh(machines).connect(wired(machines, wire)) as connection:
            assert connection.run(["hostname"]).out == "web1\n"
        assert wire.connections == 2
    with Wire(machines[0].address, 1) as wire:
        with pytest.raises(HostFault) as found, ssh(machines).connect(wired(machines, wire)) as connection:
            connection.run(["hostname"])
        where = f"web1: {wire.host}:{wire.port} hung up before it spoke SSH; see MaxStartups of its sshd"
    assert (found.value.trouble, str(found.value).startswith(where)) == (Trouble.UNREACHABLE, True), found.value


def _refused(machines: Machines, number: int = 0, **settings: object) -> HostFault:
    with pytest.raises(HostFault) as found, ssh(machines, **settings).connect(machines[number].host()) as connection:
        connection.run(["true"])
    assert found.value.trouble == Trouble.HOST_KEY
    return found.value


def test_c171_a_host_key_that_is_not_known_is_refused_with_its_fingerprint(machines: Machines) -> None:
    none = machines.folder / "none"
    fault = _refused(machines, known_hosts=[str(none)])
    assert str(fault) == (
        f"web1: its host key is not known: it shows ssh-ed25519 {machines[0].key.fingerprint}; compare that with "
        "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the host, and if it is the same, add it: "
        f"ssh-keyscan -t ed25519 {machines[0].address} >>{none}"
    )
    assert machines[0].run("ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub").out.split()[1] in str(fault)
    # The line that would make it known is told, and does.
    none.write_text(fault.output + "\n")
    with ssh(machines, known_hosts=[str(none)]).connect(machines[0].host()) as connection:
        assert connection.run(["hostname"]).out == "web1\n"


def test_c171_a_host_key_that_has_changed_is_always_refused_and_both_are_named(machines: Machines) -> None:
    old = machines[1].key
    new = machines[1].new_key()
    fault = _refused(machines, 1)
    assert (
        f"{machines.known_hosts}:2 knows ssh-ed25519 {old.fingerprint}, it shows ssh-ed25519 {new.fingerprint}"
        in str(fault)
    )
    assert f"ssh-keygen -R '{machines[1].address}' -f {machines.known_hosts}" in str(fault)
    # What ~/.ssh/config says of it changes nothing.
    loose = machines.folder / "config"
    loose.write_text("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n")
    _refused(machines, 1, config=str(loose))
    _refused(machines, 1, config=str(loose), known_hosts=[])
