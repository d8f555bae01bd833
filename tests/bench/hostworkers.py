"""The clients that ``tests/bench/hosts.py`` measures, each run as a process of its own.

``python -m tests.bench.hostworkers repoctl|fabric LAB HOSTS.json PARALLEL``: one line for each host that answered.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fabric
import paramiko
from fabric.exceptions import GroupException

from repod.client.fleet import Host, HostFault
from repod.client.sshing import Ssh
from repod.client.transports.ssh import SshTransport

Listed = list[tuple[str, str]]


def _repoctl(lab: Path, hosts: Listed, parallel: int) -> None:
    settings = Ssh(identity=[str(lab / "id_ed25519")], known_hosts=[str(lab / "known_hosts")], config="", agent=False)
    transport = SshTransport(settings)

    def one(name: str, address: str) -> str:
        try:
            with transport.connect(Host(name=name, address=address, user="deploy")) as connection:
                said = connection.run(["rpm", "-q", "lab-base"]).out
                connection.run(["hostname"], root=True)
        except HostFault as fault:
            return f"{fault}\n"
        return said

    with ThreadPoolExecutor(parallel) as pool:
        for said in pool.map(one, *zip(*hosts, strict=True)):
            print(said, end="")


def _fabric(lab: Path, hosts: Listed) -> None:
    known = lab / "known_hosts"
    connections = []
    for _, address in hosts:
        options = {"key_filename": str(lab / "id_ed25519"), "look_for_keys": False, "allow_agent": False}
        connection = fabric.Connection(address, user="deploy", connect_kwargs=options)
        connection.client.load_host_keys(str(known))
        connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        connections.append(connection)
    group = fabric.ThreadingGroup.from_connections(connections)
    try:
        results = group.run("rpm -q lab-base", hide=True, in_stream=False)
        group.run("sudo -n hostname", hide=True, in_stream=False)
    except GroupException as error:
        results = error.result
    for result in results.values():
        print(getattr(result, "stdout", f"{result}\n"), end="")
    group.close()


def main() -> None:
    kind, lab, listed, parallel = sys.argv[1:]
    hosts = json.loads(Path(listed).read_text())
    if kind == "repoctl":
        _repoctl(Path(lab), hosts, int(parallel))
    else:
        _fabric(Path(lab), hosts)


if __name__ == "__main__":
    main()
