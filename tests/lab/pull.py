"""Hosts in pull mode: `repod-agent` with real dnf, each host in mounts of its own; and what its repository is."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repod.rings import RingChange
from tests.lab.clients import Completed, run
from tests.lab.keys import Key
from tests.lab.offices import BY, Service
from tests.lab.processes import end_agents, environment
from tests.lab.rpms import quick

ROOT = Path(__file__).resolve().parents[2]
NAME = "apps"
_PLACES = ("etc/yum.repos.d", "etc/zypp/repos.d", "etc/dnf", "opt", "var/lib/rpm", "var/cache/zypp")
_SCRIPT = """
root=$1; shift
for place in etc/yum.repos.d etc/zypp etc/dnf opt var/lib/rpm var/cache/zypp; do
    # Some are there only once dnf or zypper ran on this machine.
    mkdir -p "/$place"
    mount --bind "$root/$place" "/$place"
done
mount --bind "$root/machine-id" /etc/machine-id
exec "$@"
"""
_DNF = """[main]
gpgcheck=1
skip_if_unavailable=1
cachedir={root}/cache
persistdir={root}/dnf
logdir={root}/log
plugins=0
keepcache=0
"""
IDS = [f"{number:032x}" for number in range(200)]
"""Machine ids of a small fleet."""


class PullHost:
    """A host: its rpm database, `.repo` files, /opt and machine id are its own; the agent's folder is ``state``."""

    def __init__(self, root: Path, key: Key, repo: str, machine: str = IDS[0], **settings: str) -> None:
        """``repo``: the text of the `.repo` file; ``settings`` are those of the agent, beside the required ones."""
        self.root = root
        for place in (*_PLACES, "cache", "dnf", "log"):
            (root / place).mkdir(parents=True)
        # Debian's rpm has its database in the home of who asks, unless it is told that this is a host of rpm.
        (root / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
        (root / "machine-id").write_text(f"{machine}\n")
        (root / "etc/dnf/dnf.conf").write_text(_DNF.format(root=root))
        (root / "etc/yum.repos.d/apps.repo").write_text(repo)
        (root / "key.asc").write_bytes(key.public)
        self.state = root / "state"
        self.configure(**settings)

    def configure(self, **settings: str) -> None:
        """Write the agent's settings anew."""
        values = {"repository": NAME, "ring": "web", "key": str(self.root / "key.asc"), "state": str(self.state)}
        values |= {"host": "web1", "check_within": "1s", **settings}
        text = "".join(f"{name} = {value}\n" for name, value in values.items())
        (self.root / "agent.conf").write_text(f"[repod-agent]\n{text}")

    def inside(self, *words: str | Path) -> list[str | Path]:
        """Words that run ``words`` on this host."""
        return ["unshare", "--mount", "sh", "-euc", _SCRIPT, "sh", self.root, *words]

    def agent(self, command: str, *words: str) -> Completed:
        """``repod-agent COMMAND`` on this host, by the system's Python alone."""
        return self.run("/usr/bin/python3", "-m", "repod.hosts.agent", command, "-c", self.root / "agent.conf", *words)

    def run(self, *words: str | Path) -> Completed:
        """A program on this host, to its end."""
        try:
            return run(self.inside(*words), self.root, PYTHONPATH=str(ROOT))
        finally:
            end_agents(self.root)

    def started(self, *words: str) -> "subprocess.Popen[bytes]":
        """A program on this host, begun; without words ``repod-agent run``."""
        agent = ("/usr/bin/python3", "-m", "repod.hosts.agent", "run", "-c", self.root / "agent.conf")
        environ = environment(self.root, PYTHONPATH=str(ROOT))
        return subprocess.Popen(self.inside(*(words or agent)), env=environ, stdin=subprocess.DEVNULL)

    def installed(self) -> list[str]:
        """What rpm says is installed, but for keys."""
        done = self.run("rpm", "-qa", "--qf", r"@%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\n")
        return sorted(line[1:] for line in done.out.splitlines() if line[:1] == "@" and "gpg-pubkey" not in line)

    def remembered(self) -> Mapping[str, Any]:
        """The state file."""
        found: Mapping[str, Any] = json.loads((self.state / "state.json").read_text())
        return found


def hello(folder: Path, release: str, *, well: bool = True, name: str = "hello") -> Path:
    """A build that says whether it works, in /opt, where hosts differ."""
    content = {f"/opt/{name}/release": release.encode(), f"/opt/{name}/well": b"yes" if well else b"no"}
    return quick(folder, name, release=release, files=content)


def set_ring(service: Service, *names: str, ring: str = "web", **how: Any) -> Mapping[str, Any]:
    """Set a ring so that hosts may begin at once; what it is then."""
    change = RingChange(names=names, **{"spread": 0, **how})
    (row,) = service.office.deeds.ring(NAME, ring, change, BY).rows
    return row
