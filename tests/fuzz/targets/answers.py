"""What hosts, servers and repositories answer to repoctl."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from repod.client import hearing, problems, reading
from repod.client.fleet import HostFault, Ran
from repod.client.toolkit import facts, offers, restarting
from repod.client.toolkit import reading as verdicts
from repod.client.toolkit.asked import ToolName
from repod.client.transports.frame import Stream
from repod.client.transports.ssmscript import Answer
from repod.errors import Corrupt, Misconfigured, RepodError
from tests.fuzz import mutate
from tests.fuzz.core import Door, Finding, Mutate, of_doors, only, said_well
from tests.lab.entries import made

_MARK = "m4rk"
_FRAMED = b"motd\nm4rk-begin\nhello\nm4rk-end 0\nlogout\n"
_FACTS = b"""motd
@@repod-begin@@
os\tID\tfedora
os\tVERSION_ID\t41
arch\tx86_64
boot\tabc
free\t/\t1000000
tool\tdnf\t/usr/bin/dnf\t4.14
repository\tyum\tlab\t/etc/yum.repos.d/lab.repo
setting\tyum\tlab\tbaseurl\thttp://x/
key\tABCDEF
package\thello\t0\t1.0\t1\tnoarch\taaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
missing\tbye
lock\t12\tdnf\t/var/cache/dnf/x
@@repod-end@@
"""
_OFFERED = (
    b"@hello|0|1.0|1|noarch\n@bye|2|1.0|1|x86_64\n",
    b"Available Packages\nhello.noarch 1.0-1 lab\nbye.x86_64\n 2:1.0-1 lab\n",
    b'<solvable status="installed" name="hello" kind="package" edition="1.0-1" arch="noarch" repository="lab"/>',
    b"hello-1.0-1.noarch\nbye-2:1.0-1.x86_64\n",
)
_SAID = (
    b"Error: Unable to find a match: hello\n",
    b"Error: GPG check FAILED\nPublic key for hello.rpm is not installed\n",
    b"Nothing to do.\nComplete!\n",
    b"System management is locked by the application with pid 5 (zypper).\n",
)
_PROBLEM = {"type": "https://repod/problems/refused", "title": "t", "status": 403, "detail": "d", "faults": ["a", "b"]}
_EVENT = b"""id: 5
data: {"type": "repod.generation.published.v1", "source": "/repositories/a", "time": "x",
data: "data": {"generation": 5, "actor": "inbox", "added": [{"nevra": "a-1-1.noarch"}], "added_total": 1}}

"""
_REPOMD = b"""<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>5</revision><data type="primary">
<checksum type="sha256">aaaa</checksum><location href="repodata/p.xml.gz"/></data></repomd>"""
_METALINK = b"""<metalink xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><verification>
<hash type="sha256">aaaa</hash></verification><resources>
<url protocol="http" preference="100">http://x/repodata/repomd.xml</url></resources></file></files></metalink>"""
_PRIMARY = (
    b'<metadata xmlns="http://linux.duke.edu/metadata/common" '
    b'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">'
    + made("hello-1.0-1.noarch").entry.primary
    + b"</metadata>"
)


def _streamed(data: bytes) -> str:
    """However the pieces are cut, the same comes out."""
    found = []
    for size in (1, 7, len(data) + 1):
        stream = Stream(_MARK, 1000)
        for at in range(0, len(data), size):
            stream.feed(data[at : at + size])
        stream.close()
        found.append((stream.code, stream.kept.text(), stream.begun))
    if len(set(found)) > 1:
        raise Finding(f"pieces of other sizes give other streams: {found}")
    return f"code {found[0][0]}"


def _host(data: bytes) -> str:
    rows = facts.framed(Ran(code=0, out=data.decode(errors="replace")))
    facts.parts(rows)
    facts.read(rows, ["hello", "bye"]).takes("noarch")
    return "facts"


def _offered(data: bytes) -> str:
    text = data.decode(errors="replace")
    return " ".join(str(min(len(offers.offered(tool, text)), 3)) for tool in ToolName)


def _verdict(data: bytes) -> str:
    text = data.decode(errors="replace")
    verdicts.warning(text)
    verdicts.idle(text)
    for tool in ToolName:
        for code in (0, 1, 104):
            restarting.due(tool, code, text)
            restarting.services(tool, code, text)
    return str(verdicts.verdict(ToolName.DNF, 1, text).trouble)


def _problem(data: bytes) -> str:
    found = problems.document(403, problems.MEDIA_TYPE, data)
    error = problems.error_of(found, "") if found else problems.stranger(502, "text/html", data, "http://x")
    _told(error)
    return type(error).__name__


def _told(error: RepodError) -> None:
    said_well(str(error), 0)


def _heard(data: bytes) -> str:
    lines = [hearing.told(event) for _, event in hearing.events(data.decode(errors="replace").split("\n"))]
    for line in lines:
        said_well(line)
    return f"{min(len(lines), 3)} events"


def _listed(data: bytes) -> str:
    return str(min(len(list(reading.packages([data[:100], data[100:]], {"hello"}))), 3))


def _doors(_folder: Path) -> Mapping[str, Door]:
    def door(
        read: Callable[[bytes], object],
        *seeds: bytes,
        how: Mutate = mutate.text,
        no: tuple[type[BaseException], ...] = (Corrupt,),
    ) -> Door:
        return Door(read=read, refusals=no, mutate=how, seeds=seeds)

    return {
        "stream": door(_streamed, _FRAMED, no=(), how=_marked),
        "facts": door(_host, _FACTS, no=(HostFault,)),
        "offers": door(_offered, *_OFFERED, no=()),
        "verdict": door(_verdict, *_SAID, no=()),
        "ssm": door(only(lambda data: Answer.parse(data.decode(errors="replace")) and "answer", ValueError), _ssm()),
        "problem": door(_problem, json.dumps(_PROBLEM).encode(), how=mutate.as_json, no=()),
        "event": door(_heard, _EVENT, no=(Misconfigured,)),
        "repomd": door(lambda data: reading.index(data) and "an index", _REPOMD, how=mutate.xml),
        "metalink": door(lambda data: reading.metalink(data) and "a metalink", _METALINK, how=mutate.xml),
        "mirrorlist": door(lambda data: str(min(len(reading.mirrors(data)), 2)), b"# x\nhttp://x/\n", no=()),
        "primary": door(_listed, _PRIMARY, how=mutate.xml),
    }


def _marked(draw: Random, data: bytes) -> bytes:
    at = draw.randrange(len(data) + 1)
    more = draw.choice((b"m4rk", b"m4rk-begin\n", b"m4rk-end 0\n", b"m4rk-end 999\n", b"m4rk-end ", b"\n", b"x" * 2000))
    return mutate.text(draw, data[:at] + more + data[at:])


def _ssm() -> bytes:
    return b"repoctl 1 0 5 5 0 0 plain 8\naGVsbG8=\n"


ANSWERS = of_doors("answers", "what hosts, servers and repositories answer to repoctl", _doors)
