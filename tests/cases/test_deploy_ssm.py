"""Cases of kind deploy, over Systems Manager; those over SSH stand in their own file."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from repod.client.fleet import Host, HostFault, Limits, Trouble
from repod.client.grouping import Ssm
from repod.client.transports.ssm import SsmTransport
from tests.lab.ssmagents import Machine, SsmAgents


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SsmAgents]:
    with SsmAgents(tmp_path) as server:
        server.reset(*(Machine(f"i-{number}") for number in range(5)))
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server


def _host(number: int = 0) -> Host:
    return Host(name=f"web{number}", address=f"i-{number}", way="ssm")


@pytest.mark.usefixtures("agents")
def test_c139_much_output_on_both_streams_neither_blocks_nor_fills_memory() -> None:
    with SsmTransport(Ssm(poll=0.05)).connect(_host()) as connection:
        much = "head -c 10000000 /dev/zero | tr '\\0' x; head -c 10000000 /dev/zero | tr '\\0' y >&2; exit 3"
        found = connection.run(["sh", "-c", much], limits=Limits(seconds=120, output=65536))
    assert (found.code, found.cut) == (3, True)
    for text, letter in ((found.out, "x"), (found.err, "y")):
        assert text == f"{letter * 32768}\n[9934464 bytes left out]\n{letter * 32768}"


@pytest.mark.usefixtures("agents")
def test_c142_a_prompt_without_a_line_end_is_seen_when_time_is_over() -> None:
    asks = ["sh", "-c", "printf 'Password for x: '; sleep 600"]
    with (
        SsmTransport(Ssm(poll=0.05)).connect(_host()) as connection,
        pytest.raises(HostFault, match=r"did not end within 4 s; it wrote last: Password for x:") as found,
    ):
        connection.run(asks, limits=Limits(seconds=4))
    assert (found.value.trouble, found.value.output) == (Trouble.TIME_LIMIT, "Password for x: ")


def test_c143_one_bad_host_of_five_leaves_the_others_as_they_are(agents: SsmAgents) -> None:
    agents.machines["i-2"].offline = True
    transport = SsmTransport(Ssm(poll=0.05))

    def one(number: int) -> str:
        try:
            with transport.connect(_host(number)) as connection:
                return connection.run(["echo", "updated"]).out.strip()
        except HostFault as fault:
            return str(fault.trouble)

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(one, range(5))) == ["updated", "updated", "unreachable", "updated", "updated"]
