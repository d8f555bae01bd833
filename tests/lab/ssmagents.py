"""Systems Manager on loopback, with agents that really run what they are sent, here, and cut what they answer.

It speaks the JSON protocol for the few requests that repoctl makes, holds each to AWS's own description of it
(botocore's model), and misbehaves as it is told. moto's knows the requests too, but runs nothing.
"""

import contextlib
import http.server
import itertools
import json
import os
import signal
import socket
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

import botocore.session
from botocore.validate import ParamValidator

from tests.lab.box import ENVIRONMENT
from tests.lab.processes import environment
from tests.lab.seaweed import REGION

_SHOWN = {"out": 24_000, "err": 8_000}  # characters, by the reference of GetCommandInvocation
_CUT = "\n---Output truncated---"
_PAGE = 50
_MODEL = botocore.session.get_session().get_service_model("ssm")


@dataclass(slots=True)
class Machine:
    """An instance. ``ends``: how SSM says that a command ended, which then never ran; ``offline``: refused at once."""

    id: str
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    online: bool = True
    ends: str = ""
    offline: bool = False
    silent: bool = False
    """Its agent takes nothing up, and nobody says so."""
    home: Path | None = None
    """Whose ``.rpmmacros`` say where its rpm database lies."""
    inside: Sequence[str] = ()
    """Words that run a command on it, such as those that enter its namespaces; none: it is this machine."""


@dataclass(slots=True)
class _Invocation:
    details: str = "Pending"
    code: int = -1
    out: str = ""
    err: str = ""
    stored: str = ""
    looks: int = 0
    process: subprocess.Popen[bytes] | None = None


class Fault(Exception):
    """What AWS answers with status 400."""


class SsmAgents:
    """The server and its machines; a context manager.

    ``throttled``: how many of the next requests of each operation are too many; ``denied``: operations that are not
    allowed. ``unseen``: how many looks at a new
    command find nothing yet. ``lost``: how many of the next answers to SendCommand never come, though it is done.
    ``asked`` counts operations, ``sent`` are all SendCommand requests that were carried out.
    """

    def __init__(self, folder: Path) -> None:
        """``folder``: where agents work."""
        self._folder = folder
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], _Invocation] = {}
        self._agents: list[threading.Thread] = []
        self.reset()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.ssm = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def reset(self, *machines: Machine) -> None:
        """As if new, with these machines."""
        self.machines = {one.id: one for one in machines}
        self.throttled = Counter[str]()
        self.denied: Collection[str] = ()
        self.unseen = 0
        self.lost = 0
        self.asked = Counter[str]()
        self.sent: list[dict[str, Any]] = []
        self.s3: Any = None
        """A client of boto3 through which agents store outputs."""

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, with all that still runs."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for one in self._found.values():
            _end(one.process)
        for agent in self._agents:
            agent.join(30)

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process that speaks to it has in its environment."""
        return {
            "AWS_ACCESS_KEY_ID": "AKLAB",
            "AWS_SECRET_ACCESS_KEY": "lab",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_SSM": f"http://127.0.0.1:{self._server.server_address[1]}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """What AWS answers; None where nothing comes back."""
        with self._lock:
            self.asked[operation] += 1
            if self.throttled[operation] > 0:
                self.throttled[operation] -= 1
                raise Fault("ThrottlingException", "Rate exceeded")
            if operation in self.denied:
                raise Fault("AccessDeniedException", f"User: x is not authorized to perform: ssm:{operation}")
        shape = _MODEL.operation_model(operation).input_shape
        if report := ParamValidator().validate(request, shape).generate_report():
            raise Fault("ValidationException", report)
        done: dict[str, Any] = getattr(self, f"_{operation}")(request)
        if operation == "SendCommand" and self.lost > 0:
            self.lost -= 1
            return None
        return done

    def _SendCommand(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        names = request["InstanceIds"]
        for name in names:
            if name not in self.machines or self.machines[name].offline:
                raise Fault("InvalidInstanceId", f"Instances [[{name}]] not in a valid state for account 123456789012")
        assert request["DocumentName"] == "AWS-RunShellScript"
        assert len(json.dumps(request["Parameters"])) < 64 << 10
        command = str(uuid.uuid4())
        with self._lock:
            self.sent.append(request)
            for name in names:
                self._found[command, name] = _Invocation(details=self.machines[name].ends or "Pending")
        for name in names:
            if not self.machines[name].ends and not self.machines[name].silent:
                agent = threading.Thread(target=self._run, args=(command, name, request))
                self._agents.append(agent)
                agent.start()
        return {"Command": {"CommandId": command, "Status": "Pending", "InstanceIds": names}}

    def _GetCommandInvocation(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found.get((request["CommandId"], request["InstanceId"]))
        if found:
            found.looks += 1
        if found is None or found.looks <= self.unseen:
            raise Fault("InvocationDoesNotExist", "")
        general = {"DeliveryTimedOut": "TimedOut", "ExecutionTimedOut": "TimedOut", "Undeliverable": "Failed"}
        general |= {"Terminated": "Failed", "AccessDenied": "Failed", "InvalidPlatform": "Failed"}
        return {
            "CommandId": request["CommandId"],
            "InstanceId": request["InstanceId"],
            "DocumentName": "AWS-RunShellScript",
            "PluginName": "aws:runShellScript",
            "ResponseCode": found.code,
            "Status": general.get(found.details, found.details),
            "StatusDetails": found.details,
            "StandardOutputContent": _shown(found.out, "out"),
            "StandardErrorContent": _shown(found.err, "err"),
            "StandardOutputUrl": f"{found.stored}/stdout" if found.stored and found.out else "",
            "StandardErrorUrl": f"{found.stored}/stderr" if found.stored and found.err else "",
        }

    def _CancelCommand(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for name in request["InstanceIds"]:
            found = self._found[request["CommandId"], name]
            found.details = "Cancelled"
            _end(found.process)
        return {}

    def _DescribeInstanceInformation(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for rule in request.get("Filters", ()):
            if rule["Key"] != "PlatformTypes" and not rule["Key"].startswith("tag:"):
                raise Fault("InvalidFilterKey", f"The filter key {rule['Key']} is not valid")
        found = [one for one in self.machines.values() if all(_fits(one, rule) for rule in request.get("Filters", ()))]
        start = int(request.get("NextToken", 0))
        more = {"NextToken": str(start + _PAGE)} if start + _PAGE < len(found) else {}
        listed = [
            {
                "InstanceId": one.id,
                "ComputerName": one.name,
                "PingStatus": "Online" if one.online else "ConnectionLost",
                "PlatformName": "Amazon Linux",
                "PlatformVersion": "2023",
                "PlatformType": "Linux",
            }
            for one in found[start : start + _PAGE]
        ]
        return {"InstanceInformationList": listed} | more

    def _run(self, command: str, name: str, request: dict[str, Any]) -> None:
        """What an agent does: a script file, run as root, its streams kept in files."""
        found, machine = self._found[command, name], self.machines[name]
        home = machine.home or self._folder
        place = self._folder / f"{next(self._numbers)}"
        place.mkdir()
        text = "\n".join(request["Parameters"]["commands"])
        (place / "_script.sh").write_text(text)
        seconds = int(request["Parameters"].get("executionTimeout", ["3600"])[0])
        with (place / "stdout").open("wb") as out, (place / "stderr").open("wb") as err:
            found.process = subprocess.Popen(
                [*machine.inside, "sh", "-c", text] if machine.inside else ["sh", place / "_script.sh"],
                cwd=place,
                env=ENVIRONMENT if machine.inside else environment(home, AWS_SSM_INSTANCE_ID=name),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            found.details = "InProgress"
            try:
                found.code = found.process.wait(seconds)
                ended = "Failed" if found.code else "Success"
            except subprocess.TimeoutExpired:
                _end(found.process)
                found.code, ended = 137, "ExecutionTimedOut"
        found.out = (place / "stdout").read_text(errors="replace")
        found.err = (place / "stderr").read_text(errors="replace")
        self._store(found, f"{command}/{name}/awsrunShellScript/0.awsrunShellScript", request)
        if found.details != "Cancelled":
            found.details = ended

    def _store(self, found: _Invocation, path: str, request: Mapping[str, Any]) -> None:
        bucket = request.get("OutputS3BucketName")
        if not bucket:
            return
        key = "/".join(part for part in (request.get("OutputS3KeyPrefix", ""), path) if part)
        for stream, text in (("stdout", found.out), ("stderr", found.err)):
            if text:
                self.s3.put_object(Bucket=bucket, Key=f"{key}/{stream}", Body=text.encode())
        found.stored = f"https://s3.{REGION}.amazonaws.com/{bucket}/{key}"


def _shown(text: str, stream: str) -> str:
    most = _SHOWN[stream]
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT


def _fits(machine: Machine, rule: Mapping[str, Any]) -> bool:
    known = {f"tag:{key}": value for key, value in machine.tags.items()} | {"PlatformTypes": "Linux"}
    values: Sequence[str] = rule["Values"]
    return any(fnmatchcase(known.get(rule["Key"], ""), value) for value in values)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process and process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


class _Server(http.server.ThreadingHTTPServer):
    """Ends idle connections when it ends, and not before: a request that comes just then would be lost."""

    daemon_threads = False
    request_queue_size = 128
    ssm: SsmAgents

    def __init__(self, address: tuple[str, int], handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        super().server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """One request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        operation = self.headers["X-Amz-Target"].removeprefix("AmazonSSM.")
        try:
            status, answer = 200, self.server.ssm.answer(operation, request)
        except Fault as fault:
            status, answer = 400, {"__type": fault.args[0], "message": fault.args[1]}
        if answer is None:
            self.close_connection = True
            return
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing: the test reports."""
