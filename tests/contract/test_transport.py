"""What every way to a host promises: ``Transport`` and ``Connection`` of repod/client/fleet.py."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from repod.client.fleet import Connection, Host, HostFault, Limits, Transport, Trouble
from repod.client.grouping import Ssm
from repod.client.transports.local import LocalTransport
from repod.client.transports.ssm import SsmTransport
from tests.lab.machines import Machines
from tests.lab.oddwords import ODD
from tests.lab.reached import ssh
from tests.lab.ssmagents import Machine, SsmAgents

Reached = tuple[Transport, Host]


@contextmanager
def _over_ssh(folder: Path) -> Iterator[Reached]:
    with Machines(folder, 1) as machines:
        yield ssh(machines), machines[0].host()


@contextmanager
def _over_ssm(folder: Path) -> Iterator[Reached]:
    with pytest.MonkeyPatch.context() as patch, SsmAgents(folder) as agents:
        agents.reset(Machine("i-0"))
        for name, value in agents.environ.items():
            patch.setenv(name, value)
        yield SsmTransport(Ssm(poll=0.05)), Host(name="web1", address="i-0", way="ssm")


@contextmanager
def _here(folder: Path) -> Iterator[Reached]:
    yield LocalTransport(), Host(name="here", address="", way="local")


_WAYS = {"ssh": _over_ssh, "local": _here, "ssm": _over_ssm}


@pytest.fixture(scope="module", params=list(_WAYS))
def reached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    with _WAYS[request.param](tmp_path_factory.mktemp("way")) as found:
        yield found


@pytest.fixture
def connection(reached: Reached) -> Iterator[Connection]:
    transport, host = reached
    with transport.connect(host) as made:
        yield made


def _fault(connection: Connection, *argv: str, seconds: float) -> HostFault:
    with pytest.raises(HostFault) as found:
        connection.run(argv, limits=Limits(seconds=seconds))
    return found.value


def test_each_argument_arrives_as_it_is(connection: Connection) -> None:
    ran = connection.run(["printf", "<%s>\n", *ODD])
    assert (ran.code, ran.out, ran.err) == (0, "".join(f"<{word}>\n" for word in ODD), "")


def test_bytes_that_are_no_utf8_are_taken_and_replaced_in_what_comes_back(connection: Connection) -> None:
    assert connection.run(["printf", "%s", b"a\xffb".decode("utf-8", "surrogateescape")]).out == "a\ufffdb"


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_that_of_the_command(connection: Connection, code: int) -> None:
    assert connection.run(["sh", "-c", f"exit {code}"]).code == code


def test_a_command_that_a_signal_ends_has_128_and_its_number(connection: Connection) -> None:
    assert connection.run(["sh", "-c", "kill -TERM $$"]).code == 128 + 15


def test_a_program_that_is_missing_is_127_and_says_so(connection: Connection) -> None:
    ran = connection.run(["no-such-program", "x"])
    assert ran.code == 127
    assert "no-such-program" in ran.err


def test_both_streams_come_back_apart_and_whole(connection: Connection) -> None:
    ran = connection.run(["sh", "-c", "printf ' out\n\n'; printf 'err, no line end' >&2"])
    assert (ran.out, ran.err, ran.cut) == (" out\n\n", "err, no line end", False)


def test_its_input_is_the_data_and_then_ends(connection: Connection) -> None:
    assert connection.run(["cat"]).out == ""
    assert connection.run(["cat"], data=b"one\ntwo, no line end").out == "one\ntwo, no line end"
    data = bytes(range(256)) * 100
    assert connection.run(["cksum"], data=data).out.split()[1] == str(len(data))


def test_a_command_that_does_not_read_its_input_ends_all_the_same(connection: Connection) -> None:
    assert connection.run(["echo", "done"], data=b"x" * 20_000).out == "done\n"


def test_of_a_long_output_both_ends_are_kept_and_a_line_says_what_is_missing(connection: Connection) -> None:
    ran = connection.run(["sh", "-c", "seq 100000; seq 7 >&2"], limits=Limits(output=100))
    assert ran.cut
    assert ran.out.startswith("1\n2\n3\n")
    assert ran.out.endswith("99999\n100000\n")
    assert f"\n[{588895 - 100} bytes left out]\n" in ran.out
    assert ran.err == "1\n2\n3\n4\n5\n6\n7\n"


def test_there_is_no_terminal_and_the_locale_is_plain(connection: Connection) -> None:
    ran = connection.run(
        ["sh", "-c", 'for n in 0 1 2; do test -t $n && echo "tty $n"; done; echo "$LC_ALL"; locale charmap']
    )
    assert ran.out == "C.UTF-8\nUTF-8\n"


def test_root_is_root(connection: Connection) -> None:
    assert connection.run(["id", "-u"], root=True).out == "0\n"
    assert connection.run(["cat"], root=True, data=b"read as root").out == "read as root"


def test_a_command_that_takes_too_long_is_told_with_what_it_wrote_last(connection: Connection) -> None:
    # Time enough to write it, on a busy machine too.
    fault = _fault(connection, "sh", "-c", "echo first; printf 'Continue? [y/N] '; exec sleep 100", seconds=6)
    assert (fault.trouble, "it wrote last: Continue? [y/N]" in str(fault)) == (Trouble.TIME_LIMIT, True)
    assert fault.output.rstrip().endswith("Continue? [y/N]")
    assert connection.run(["echo", "next"]).out == "next\n"


def test_what_a_command_leaves_running_is_not_waited_for_though_it_holds_the_streams(connection: Connection) -> None:
    left = connection.run(["sh", "-c", "sleep 200 & echo $!"]).out
    assert connection.run(["kill", left.strip()]).code == 0  # it ran all the time


def test_many_threads_each_have_their_own(reached: Reached) -> None:
    transport, host = reached

    def one(number: int) -> str:
        with transport.connect(host) as connection:
            return connection.run(["echo", str(number)]).out + connection.run(["echo", "again"]).out

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [f"{number}\nagain\n" for number in range(8)]
