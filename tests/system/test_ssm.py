"""Commands through Systems Manager: agents that really run them, SSM's bounds, and what goes wrong on the way."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from repod.client.fleet import Connection, Host, HostFault, Limits, Ran, Trouble
from repod.client.grouping import Ssm
from repod.client.toolkit.facts import framed, read
from repod.client.transports.ssm import SsmTransport
from repod.errors import Misconfigured
from tests.lab.queues import Moto
from tests.lab.ssmagents import Machine, SsmAgents

_ID = "i-0123456789abcdef0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SsmAgents]:
    with pytest.MonkeyPatch.context() as patch, SsmAgents(tmp_path_factory.mktemp("agents")) as agents:
        for name, value in agents.environ.items():
            patch.setenv(name, value)
        kept = _transport()  # while it lives, clients of boto3 are made once
        with kept.connect(_host()):
            yield agents


@pytest.fixture
def agents(server: SsmAgents) -> SsmAgents:
    """As if new, with its address in the environment."""
    server.reset(Machine(_ID), *(Machine(f"i-{one:017x}") for one in range(60)))
    return server


def _host(own: str = _ID) -> Host:
    return Host(name=f"web-{own[-2:]}", address=own, way="ssm")


def _transport(**settings: object) -> SsmTransport:
    return SsmTransport(Ssm.model_validate({"poll": 0.05, **settings}))


def _run(argv: Sequence[str], *, own: str = _ID, transport: SsmTransport | None = None, **more: object) -> Ran:
    with (transport or _transport()).connect(_host(own)) as connection:
        return _ask(connection, argv, **more)


def _ask(connection: Connection, argv: Sequence[str], **more: object) -> Ran:
    return connection.run(argv, **more)  # type: ignore[arg-type]


def _fault(argv: Sequence[str] = ("true",), *, own: str = _ID, **more: object) -> HostFault:
    with pytest.raises(HostFault) as found:
        _run(argv, own=own, **more)
    return found.value


@pytest.mark.usefixtures("agents")
def test_arguments_and_input_arrive_as_they_are() -> None:
    words = ["printf", "[%s]", "a b", "$HOME", "`id`", "'\"", "{{ssm:secret}}", "ü\n\\", "*", ""]
    assert _run(words) == Ran(code=0, out="".join(f"[{one}]" for one in words[2:]))
    data = bytes(range(256)) * 20
    assert _run(["sha256sum"], data=data).out == _run(["sh", "-c", 'printf "$1" | sha256sum', "x", _octal(data)]).out


def _octal(data: bytes) -> str:
    return "".join(f"\\{one:03o}" for one in data)


@pytest.mark.usefixtures("agents")
def test_a_command_tells_its_status_and_both_streams_and_runs_as_root() -> None:
    assert _run(["sh", "-c", "echo out; echo err >&2; exit 7"]) == Ran(code=7, out="out\n", err="err\n")
    assert _run(["no-such-program"]).code == 127
    assert _run(["sh", "-c", "id -u; echo $LC_ALL"], root=True).out == "0\nC.UTF-8\n"


@pytest.mark.usefixtures("agents")
def test_output_that_packs_well_is_whole_though_ssm_shows_little() -> None:
    found = _run(["seq", "-f", "Installing hello-%g-1.x86_64", "4000"])
    assert (found.cut, found.out) == (False, "".join(f"Installing hello-{one}-1.x86_64\n" for one in range(1, 4001)))


@pytest.mark.usefixtures("agents")
def test_of_output_that_does_not_fit_both_ends_are_kept_and_a_line_says_how_much_is_not() -> None:
    many = "head -c 9000000 /dev/urandom | base64 >&2; echo first; head -c 9000000 /dev/urandom | base64; echo last"
    found = _run(["sh", "-c", many])
    assert found.cut
    assert found.out.startswith("first\n")
    assert found.out.endswith("last\n")
    assert " bytes left out]\n" in found.out
    assert len(found.out) < 10_000 > len(found.err)


@pytest.mark.usefixtures("agents")
def test_facts_of_which_a_part_is_missing_are_no_facts() -> None:
    row = "printf 'package\\thello\\t0\\t1\\t1\\tnoarch\\t'; head -c 30 /dev/urandom | sha256sum | cut -c -64"
    rows = f"echo '@@repod-begin@@'; n=0; while [ $n -lt 900 ]; do {row}; n=$((n + 1)); done; echo '@@repod-end@@'"
    with pytest.raises(HostFault, match=r"longer than comes through whole; for SSM, set \[ssm\] output"):
        read(framed(_run(["sh", "-c", rows])), ["hello"])


def test_with_a_bucket_long_output_is_whole_and_nothing_stays_there(
    agents: SsmAgents, queues: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = queues.client("s3")
    s3.create_bucket(Bucket="ssm-output")
    agents.s3 = s3
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", queues.endpoint)
    transport = _transport(output="s3://ssm-output/repoctl/")
    found = _run(["sh", "-c", "echo first; head -c 120000 /dev/urandom | base64"], transport=transport)
    assert (found.cut, len(found.out)) == (False, 6 + 162106)
    assert agents.sent[0]["OutputS3KeyPrefix"] == "repoctl"
    assert "Contents" not in s3.list_objects_v2(Bucket="ssm-output")


def test_many_threads_that_ask_the_same_share_a_request_of_at_most_fifty(agents: SsmAgents) -> None:
    transport = _transport()
    barrier = threading.Barrier(60)

    def one(number: int) -> str:
        barrier.wait()
        return _run(["sh", "-c", "echo $AWS_SSM_INSTANCE_ID"], own=f"i-{number:017x}", transport=transport).out

    with ThreadPoolExecutor(60) as pool:
        found = list(pool.map(one, range(60)))
    assert found == [f"i-{number:017x}\n" for number in range(60)]
    assert len(agents.sent) < 30, "most went with others"
    assert max(len(one["InstanceIds"]) for one in agents.sent) <= 50


def test_one_host_that_ssm_does_not_know_takes_no_other_down(agents: SsmAgents) -> None:
    transport, barrier = _transport(), threading.Barrier(3)
    agents.machines["i-00000000000000001"].offline = True

    def one(number: int) -> object:
        barrier.wait()
        try:
            return _run(["echo", "here"], own=f"i-{number:017x}", transport=transport).out
        except HostFault as fault:
            return fault.trouble

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(one, range(3))) == ["here\n", Trouble.UNREACHABLE, "here\n"]


def test_throttling_and_commands_that_are_not_seen_yet_are_waited_for(agents: SsmAgents) -> None:
    agents.throttled.update(SendCommand=2, GetCommandInvocation=2)
    agents.unseen = 3
    assert _run(["echo", "here"]).out == "here\n"
    assert agents.asked["SendCommand"] == 3
    assert agents.sent[0]["Comment"] == "repoctl: echo here"
    assert len(agents.sent) == 1


def test_a_command_whose_answer_was_lost_is_never_sent_twice(agents: SsmAgents, tmp_path: Path) -> None:
    agents.lost = 1
    fault = _fault(["touch", str(tmp_path / "done")])
    assert fault.trouble is Trouble.LOST
    assert "may or may not have been done" in str(fault)
    assert len(agents.sent) == agents.asked["SendCommand"] == 1


@pytest.mark.usefixtures("agents")
def test_a_command_that_does_not_end_is_ended_on_the_host_and_what_it_wrote_last_is_told(tmp_path: Path) -> None:
    fault = _fault(
        ["sh", "-c", f"printf 'Password for x: '; sleep 600; touch {tmp_path}/never"], limits=Limits(seconds=4)
    )
    assert fault.trouble is Trouble.TIME_LIMIT
    assert str(fault) == "sh did not end within 4 s; it wrote last: Password for x:"
    assert fault.output == "Password for x: "


@pytest.mark.usefixtures("agents")
def test_a_process_that_is_left_behind_does_not_hold_up_the_answer(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    found = _run(["sh", "-c", f"sleep 300 & echo $! >{pid}; echo done"], limits=Limits(seconds=60))
    assert found == Ran(code=0, out="done\n")
    _run(["kill", pid.read_text().strip()])


@pytest.mark.parametrize(
    ("details", "trouble"),
    [
        ("DeliveryTimedOut", Trouble.UNREACHABLE),
        ("Undeliverable", Trouble.UNREACHABLE),
        ("Terminated", Trouble.UNREACHABLE),
        ("ExecutionTimedOut", Trouble.TIME_LIMIT),
        ("Cancelled", Trouble.LOST),
        ("AccessDenied", Trouble.DENIED),
        ("InvalidPlatform", Trouble.FAILED),
    ],
)
def test_every_way_in_which_ssm_gives_up_has_its_own_trouble(agents: SsmAgents, details: str, trouble: Trouble) -> None:
    agents.machines[_ID].ends = details
    fault = _fault()
    assert fault.trouble is trouble
    assert str(fault).startswith("web-f0: ")
    assert str(fault).endswith(f"(SSM says {details})")


def test_an_agent_that_takes_nothing_up_is_unreachable_and_the_command_is_cancelled(agents: SsmAgents) -> None:
    agents.machines[_ID].silent = True
    hurried = SsmTransport(Ssm(poll=0.05), clock=lambda: time.monotonic() * 200)
    fault = _fault(limits=Limits(seconds=1), transport=hurried)
    assert fault.trouble is Trouble.UNREACHABLE
    assert str(fault) == "web-f0: SSM says Pending of the command after all its time; see its agent"
    assert agents.asked["CancelCommand"] == 1


@pytest.mark.usefixtures("agents")
def test_a_command_that_is_too_long_for_ssm_is_not_sent() -> None:
    fault = _fault(["cat"], data=b"x" * 60_000)
    assert (fault.trouble, "SSM takes 49152" in str(fault)) == (Trouble.FAILED, True)


def test_who_may_not_is_told_where_the_policies_are(agents: SsmAgents) -> None:
    agents.denied = {"SendCommand"}
    fault = _fault()
    assert fault.trouble is Trouble.DENIED
    assert "see the policies in config/iam" in str(fault)


def test_an_answer_that_cannot_be_asked_for_any_more_is_a_lost_connection(agents: SsmAgents) -> None:
    agents.throttled["GetCommandInvocation"] = 10_000
    hurried = SsmTransport(Ssm(poll=0.05), clock=lambda: time.monotonic() * 100)
    fault = _fault(transport=hurried)
    assert fault.trouble is Trouble.LOST
    assert "the command may have run" in str(fault)


def test_settings_that_cannot_work_are_told_before_a_host_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(Misconfigured, match=r"no client for ssm .*region"):
        _run(["true"])


def test_requests_have_the_form_that_moto_takes_too(queues: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto runs nothing: its answer has no output, which is no answer of ours."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_SSM", raising=False)
    for name, value in queues.environ.items():
        monkeypatch.setenv(name, value)
    fault = _fault()
    assert fault.trouble is Trouble.FAILED
    assert "SSM says Success, but the command did not answer" in str(fault)
    commands = queues.client("ssm").list_commands()["Commands"]
    assert [one["DocumentName"] for one in commands if _ID in one["InstanceIds"]] == ["AWS-RunShellScript"]
