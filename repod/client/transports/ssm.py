"""Hosts through AWS Systems Manager: its agent fetches each command and runs it as root; nobody logs in."""

import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from random import SystemRandom
from threading import Event, Lock
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from repod.aws import Clients, code, denied, told
from repod.client.fleet import ORDINARY, Connection, Host, HostFault, Limits, Ran, Trouble
from repod.client.grouping import Ssm
from repod.client.transports.kept import last_line
from repod.client.transports.ssmscript import GRACE, LONGEST, MOST, Answer, longest, script
from repod.config import Bucket
from repod.errors import NotFound, OutcomeUnknown, RepodError
from repod.values import S3Place

if TYPE_CHECKING:
    from types_boto3_ssm.type_defs import GetCommandInvocationResultTypeDef, SendCommandRequestTypeDef

_MOST_AT_ONCE = 50  # instances that one request may name
_CALLERS = 16
_GATHERING = 0.05  # seconds for which a request waits for others that ask the same
_SLOWER = 5  # times the usual wait, at most, between two looks
_COMMENT = 100  # characters that SSM keeps of it
_KEPT = 2000  # characters of an output in an error
_STORED = 15.0  # seconds for which an output may take to be seen in S3 after its command ended
_TRIES = 8
_THROTTLED = {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"}
_GOING_ON = {"Pending", "InProgress", "Delayed", "Cancelling"}
_UNKNOWN = {"InvalidInstanceId"}
_ENDS: Mapping[str, tuple[Trouble, str]] = {
    "DeliveryTimedOut": (Trouble.UNREACHABLE, "its agent did not take the command up in time; see that it runs"),
    "Undeliverable": (Trouble.UNREACHABLE, "SSM cannot deliver to it; see that it runs and its agent is online"),
    "Terminated": (Trouble.UNREACHABLE, "SSM gave the command up before it came there; try again"),
    "ExecutionTimedOut": (Trouble.TIME_LIMIT, "the agent ended the command, which took too long"),
    "Cancelled": (Trouble.LOST, "somebody cancelled the command; it may have run in part"),
    "AccessDenied": (Trouble.DENIED, "SSM refuses it; see the policies in config/iam"),
    "InvalidPlatform": (Trouble.FAILED, "it is no Linux, which AWS-RunShellScript needs"),
}

_Told = TypeVar("_Told")
_Job = tuple[str, int, str]
"""What is sent: the script, the seconds it may take, and what SSM's history says of it. Equal jobs go out together."""


class _Alone(Exception):
    """A request with several instances was refused because of one of them; each is to be asked for by itself."""


@dataclass(slots=True)
class _Batch:
    """Instances that ask the same; ``sent`` is the id of the command that all of them run."""

    instances: list[str] = field(default_factory=list)
    sent: Future[str] = field(default_factory=Future)


class SsmTransport:
    """``Transport`` by Run Command. Every command runs as root, ``root`` or not: so SSM's agent does."""

    def __init__(self, settings: Ssm, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``settings``: how AWS is asked. Nothing is asked yet. ``clock`` tells seconds."""
        self.clock = clock
        region, profile = settings.region, settings.profile
        self.settings = settings
        self.asking = Clients(Bucket(region=region, profile=profile, attempts=3))
        # A request that got no answer may have been carried out: sent again, the command would run twice.
        self._sending = Clients(Bucket(region=region, profile=profile, attempts=1))
        self.output = S3Place.parse(settings.output) if settings.output else None
        # A client of boto3 takes 0.7 MiB and belongs to one thread; many hosts share few.
        self._callers = ThreadPoolExecutor(_CALLERS, "ssm")
        self._open: dict[_Job, _Batch] = {}
        self._lock = Lock()

    @contextmanager
    def connect(self, host: Host) -> Iterator[Connection]:
        """See ``Transport.connect``. ``Misconfigured`` where AWS cannot be asked as the settings have it."""
        self.call(self.asking.ssm)
        yield _Instance(self, host)

    def call(self, ask: Callable[[], _Told]) -> _Told:
        """What AWS says, asked in one of few threads."""
        return self._callers.submit(ask).result()

    def send(self, job: _Job, instance: str) -> str:
        """The id of the command, sent to this instance and to all others for which the same is asked now."""
        with self._lock:
            batch = self._open.get(job)
            first = batch is None or instance in batch.instances or len(batch.instances) >= _MOST_AT_ONCE
            if batch is None or first:
                batch = self._open[job] = _Batch()
            batch.instances.append(instance)
        if first:
            self._send_all(job, batch)
        try:
            return batch.sent.result()
        except _Alone:
            return self._request(job, [instance])

    def _send_all(self, job: _Job, batch: _Batch) -> None:
        Event().wait(_GATHERING)
        with self._lock:
            if self._open.get(job) is batch:
                del self._open[job]
            instances = list(batch.instances)
        try:
            batch.sent.set_result(self._request(job, instances))
        except ClientError as error:
            alone = code(error) in _UNKNOWN and len(instances) > 1
            batch.sent.set_exception(_Alone() if alone else error)
        except BaseException as error:
            batch.sent.set_exception(error)
            if not isinstance(error, Exception):
                raise

    def _request(self, job: _Job, instances: Sequence[str]) -> str:
        text, seconds, comment = job
        request: SendCommandRequestTypeDef = {
            "InstanceIds": list(instances),
            "DocumentName": "AWS-RunShellScript",
            "Comment": comment,
            "TimeoutSeconds": math.ceil(self.settings.deliver),
            "Parameters": {"commands": text.splitlines(), "executionTimeout": [str(seconds)]},
        }
        if self.output:
            request["OutputS3BucketName"] = self.output.bucket
            if self.output.prefix:
                request["OutputS3KeyPrefix"] = self.output.prefix.rstrip("/")
        for attempt in range(_TRIES):
            try:
                return self.call(lambda: self._sending.ssm().send_command(**request))["Command"]["CommandId"]
            except ClientError as error:
                # What was refused for being too much was not carried out.
                if code(error) not in _THROTTLED or attempt == _TRIES - 1:
                    raise
            Event().wait(SystemRandom().uniform(0.2, 0.4) * 2**attempt)
        raise AssertionError


class _Instance:
    """One managed instance."""

    def __init__(self, transport: SsmTransport, host: Host) -> None:
        self._transport = transport
        self._host = host

    def run(
        self,
        argv: Sequence[str],
        *,
        root: bool = False,  # noqa: ARG002 - it is root in any case
        data: bytes = b"",
        limits: Limits = ORDINARY,
    ) -> Ran:
        """See ``Connection.run``."""
        text = script(argv, data, limits, whole=self._transport.output is not None)
        if len(text) > LONGEST:
            msg = f"{self._host.name}: a command and its input of {len(text)} characters; SSM takes {LONGEST}"
            raise HostFault(Trouble.FAILED, msg)
        seconds = longest(limits)
        command = self._sent((text, seconds, _comment(argv)))
        return self._answer(self._ended(command, seconds), argv, limits)

    def _sent(self, job: _Job) -> str:
        try:
            with told(self._transport.asking, f"{self._host.name}: sending a command by SSM", writing=True):
                return self._transport.send(job, self._host.address)
        except RepodError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and code(cause) in _UNKNOWN:
                msg = (
                    f"{self._host.name}: SSM does not know {self._host.address}, or its agent is offline; see that the "
                    "instance runs, that its role lets the agent in, and that [ssm] region is its region"
                )
                raise HostFault(Trouble.UNREACHABLE, msg) from error
            raise _fault(error) from error

    def _ended(self, command: str, seconds: int) -> "GetCommandInvocationResultTypeDef":
        """What came of a command, when it ended; it is cancelled where it does not in time."""
        settings = self._transport.settings
        end = self._transport.clock() + settings.deliver + seconds + GRACE
        wait, seen, problem = settings.poll, "", ""
        while self._transport.clock() < end:
            Event().wait(wait)
            wait = min(wait * 1.2, settings.poll * _SLOWER)
            try:
                found = self._looked(command)
            except HostFault as fault:
                if fault.trouble is Trouble.DENIED:
                    raise
                problem = str(fault)
                continue
            seen, problem = (found["Status"] if found else seen), ""
            if found and seen not in _GOING_ON:
                return found
        self._cancel(command)
        if problem:
            raise HostFault(Trouble.LOST, f"{problem}; the command may have run")
        late = seen == "InProgress"
        msg = f"{self._host.name}: SSM says {seen or 'nothing'} of the command after all its time; see its agent"
        raise HostFault(Trouble.TIME_LIMIT if late else Trouble.UNREACHABLE, msg)

    def _looked(self, command: str) -> "GetCommandInvocationResultTypeDef | None":
        """How far a command is; None where SSM does not know of it yet, as is usual just after it was sent."""
        asking = self._transport.asking
        try:
            with told(asking, f"{self._host.name}: looking at a command by SSM"):
                own = {"CommandId": command, "InstanceId": self._host.address}
                return self._transport.call(lambda: asking.ssm().get_command_invocation(**own))
        except RepodError as error:
            if isinstance(error.__cause__, ClientError) and code(error.__cause__) == "InvocationDoesNotExist":
                return None
            raise _fault(error) from error

    def _cancel(self, command: str) -> None:
        asking = self._transport.asking
        with suppress(RepodError), told(asking, "cancelling a command by SSM"):
            own = [self._host.address]
            self._transport.call(lambda: asking.ssm().cancel_command(CommandId=command, InstanceIds=own))

    def _answer(self, found: "GetCommandInvocationResultTypeDef", argv: Sequence[str], limits: Limits) -> Ran:
        details = found["StatusDetails"].replace(" ", "")
        said = found["StandardErrorContent"][-_KEPT:]
        if details in _ENDS:
            trouble, text = _ENDS[details]
            raise HostFault(trouble, f"{self._host.name}: {text} (SSM says {details})", output=said)
        try:
            answer = Answer.parse(found["StandardOutputContent"]) or Answer.parse(self._stored(found))
        except ValueError as error:
            msg = f"{self._host.name}: SSM says {details}, but the command did not answer ({said.strip() or error})"
            raise HostFault(Trouble.FULL if "No space left" in said else Trouble.FAILED, msg, output=said) from error
        finally:
            self._tidy(found)
        if answer is None:
            raise HostFault(Trouble.FAILED, f"{self._host.name}: the output in {self._transport.output} is cut short")
        if answer.late:
            raise _late(argv[0], limits, answer.ran)
        return answer.ran

    def _stored(self, found: "GetCommandInvocationResultTypeDef") -> str:
        """The whole of a long output, from S3."""
        key, output, asking = self._key(found, "StandardOutputUrl"), self._transport.output, self._transport.asking
        if output is None or not key:
            msg = f"it is cut after {len(found['StandardOutputContent'])} characters; set [ssm] output"
            raise ValueError(msg)
        end = self._transport.clock() + _STORED
        while True:
            try:
                with told(asking, f"{self._host.name}: reading s3://{output.bucket}/{key}"):
                    return self._transport.call(partial(_object, asking, output.bucket, key))
            except NotFound as error:
                if self._transport.clock() > end:
                    raise _fault(error) from error
            except RepodError as error:
                raise _fault(error) from error
            Event().wait(self._transport.settings.poll)

    def _tidy(self, found: "GetCommandInvocationResultTypeDef") -> None:
        """Take outputs out of S3 that were read; what is left by who was stopped goes by the bucket's lifecycle."""
        output, asking = self._transport.output, self._transport.asking
        for url in ("StandardOutputUrl", "StandardErrorUrl"):
            if output and (key := self._key(found, url)):
                with suppress(RepodError), told(asking, f"removing s3://{output.bucket}/{key}"):
                    self._transport.call(partial(_remove, asking, output.bucket, key))

    def _key(
        self, found: "GetCommandInvocationResultTypeDef", url: Literal["StandardOutputUrl", "StandardErrorUrl"]
    ) -> str:
        """Where in the bucket an output lies; empty where there is none."""
        place = unquote(urlsplit(found.get(url, "")).path)
        _, command, rest = place.partition(found["CommandId"])
        prefix = self._transport.output.prefix if self._transport.output else ""
        return f"{prefix}{command}{rest}" if command else ""


def _object(clients: Clients, bucket: str, key: str) -> str:
    return clients.s3().get_object(Bucket=bucket, Key=key)["Body"].read(2 * MOST).decode()


def _remove(clients: Clients, bucket: str, key: str) -> None:
    clients.s3().delete_object(Bucket=bucket, Key=key)


def _comment(argv: Sequence[str]) -> str:
    """The command for people: the script itself is no reading."""
    words = "".join(char if char.isprintable() else " " for char in shlex.join(argv))
    return f"repoctl: {words}"[:_COMMENT]


def _late(program: str, limits: Limits, ran: Ran) -> HostFault:
    """What is told of a command that the host ended when its time was over."""
    last = last_line(ran.err.encode()) or last_line(ran.out.encode())
    said = f"it wrote last: {last}" if last else "it wrote nothing"
    both = "\n".join(text for text in (ran.out, ran.err) if text)
    text = f"{program} did not end within {limits.seconds:g} s; {said}"
    return HostFault(Trouble.TIME_LIMIT, text, output=both[-_KEPT:])


def _fault(error: RepodError) -> HostFault:
    """What an error of AWS means for the host that it was about."""
    cause = error.__cause__
    if isinstance(error, OutcomeUnknown):
        return HostFault(Trouble.LOST, str(error))
    denied_it = isinstance(cause, ClientError) and denied(cause)
    return HostFault(Trouble.DENIED if denied_it else Trouble.UNREACHABLE, str(error))
