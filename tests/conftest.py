"""What all tests share: a signing key, and the rule that a test leaves no process behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.lab import processes
from tests.lab.buckets import Buckets, in_environment
from tests.lab.keys import Key, make_key
from tests.lab.queues import Moto, moto
from tests.lab.seaweed import Seaweed, seaweed
from tests.lab.wait import until

_MARK = processes.mark()

# A busy machine is slow, which is no fault of what is tested; and a sample that is another one each time would tell
# of a fault when somebody else's change is looked at. Fuzzing draws anew.
settings.register_profile(
    "repod", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repod")

_declared: set[int] = set()
# The processes after the last test, as a single entry; none where a wider fixture came or went since. To look through
# the machine costs more than many a test.
_after: list[set[int]] = []


@pytest.fixture(scope="session")
def key() -> Key:
    """The signing key of most tests: RSA, as every client knows it, and short, so that it is made fast."""
    return make_key("rsa2048")


@pytest.fixture(scope="session")
def key_file(key: Key, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The armored secret part of ``key``, readable by its owner only."""
    path = tmp_path_factory.mktemp("key") / "signing-key.asc"
    path.touch(0o600)
    path.write_bytes(key.secret)
    return path


@pytest.fixture(scope="session")
def long_lived() -> set[int]:
    """Process ids that session fixtures add to: they and their children may outlive a test."""
    return _declared


def _look_again(fixturedef: pytest.FixtureDef[object]) -> None:
    if fixturedef.scope != "function":
        _after.clear()


def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> None:
    """What a wider fixture starts may stay."""
    _look_again(fixturedef)


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[object]) -> None:
    """What a wider fixture has left is not the next test's."""
    _look_again(fixturedef)


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a process running; what wider fixtures started before it may stay."""
    before = _after.pop() if _after else processes.descendants(_MARK)
    yield

    def left() -> set[int]:
        _after[:] = [processes.descendants(_MARK)]
        new = {pid for pid in _after[0] - before if not processes.is_python_helper(pid)}
        return new and new - _declared - {child for pid in _declared for child in processes.children(pid)}

    try:
        until(lambda: not left(), 20, "the processes of the test to end")
    except AssertionError:
        commands = [" ".join(processes.command(pid)) for pid in left()]
        processes.end(left, 10, "the processes that the test left behind")
        pytest.fail("the test left processes behind: " + "; ".join(commands))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]) -> Iterator[Seaweed]:
    """A real S3 server: signatures enforced, no anonymous access."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        long_lived.add(server.pid)
        yield server


@pytest.fixture
def buckets(s3: Seaweed, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Buckets:
    """Stores in new buckets of it, or of moto, with its keys in the environment."""
    return in_environment(s3, lambda: request.getfixturevalue("queues").endpoint, monkeypatch)


@pytest.fixture(scope="session")
def queues(tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]) -> Iterator[Moto]:
    """A server of queues, and of buckets that tell them of new objects."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        long_lived.add(server.pid)
        yield server
