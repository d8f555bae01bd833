"""The urlresolver plugin of zypper: `baseurl=plugin:s3?bucket=B&prefix=P`.

libzypp runs it for each URL, several times in one run of zypper, and speaks STOMP with it: a command,
headers, an empty line, a body, a NUL (https://doc.opensuse.org/projects/libzypp/HEAD/zypp-plugins.html).
The answer is the URL of a proxy that lives as long as the zypper that asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import BinaryIO
from urllib.parse import quote

from repod.hosts.faults import Fault, Unreachable, WrongUse
from repod.hosts.place import Prefix


def resolve(source: BinaryIO, sink: BinaryIO, command: Sequence[str], parent: int) -> None:
    """Answer one frame. ``command``: runs `repod-s3`; ``parent``: the pid of zypper."""
    try:
        prefix = _place(_frame(source))
        port = start(command, [prefix], parent)
        path = quote(f"{prefix.bucket}/{prefix.key}".rstrip("/"))
        answer = f"RESOLVEDURL\n\nhttp://127.0.0.1:{port}/{path}"
    except Fault as fault:
        answer = f"ERROR\n\nrepod-s3: {fault}"
    sink.write(answer.encode() + b"\0")
    sink.flush()


def start(command: Sequence[str], allow: Sequence[Prefix], parent: int) -> int:
    """The port of a new proxy for ``allow`` that ends with the process ``parent``."""
    errand = {"allow": [str(prefix) for prefix in allow], "parent": parent}
    # Input and output are pipes to libzypp, which waits until nobody holds them.
    process = subprocess.Popen(
        [*command, "serve", "--child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError
    with process.stdin, process.stdout:
        process.stdin.write(json.dumps(errand).encode() + b"\n")
        process.stdin.flush()
        port = process.stdout.readline().strip()
    if not port.isdigit():
        msg = "the proxy did not start; try: repod-s3 check"
        raise Unreachable(msg)
    process.returncode = 0  # it outlives this one on purpose
    return int(port)


def _frame(source: BinaryIO) -> Mapping[str, str]:
    """The headers of the frame that ends with the next NUL."""
    data = bytearray()
    while (byte := source.read(1)) and byte != b"\0":
        data += byte
    command, _, rest = data.decode(errors="replace").lstrip().partition("\n")
    if command.strip() != "RESOLVEURL":
        msg = f"expected RESOLVEURL from zypper, found {command!r}"
        raise WrongUse(msg)
    pairs = (line.partition(":") for line in rest.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _place(headers: Mapping[str, str]) -> Prefix:
    bucket = headers.get("bucket", "")
    if not bucket:
        msg = "expected baseurl=plugin:s3?bucket=BUCKET&prefix=PREFIX, found no bucket"
        raise WrongUse(msg)
    return Prefix.parse(f"s3://{bucket}/{headers.get('prefix', '')}")


def streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, as bytes."""
    return sys.stdin.buffer, sys.stdout.buffer
