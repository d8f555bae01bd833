"""What Ansible itself makes of an inventory: which hosts a pattern means, and how each is reached."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.lab.processes import environment

KEYS = ("ansible_host", "ansible_port", "ansible_user", "ansible_connection", "ansible_ssh_private_key_file")


class Told(NamedTuple):
    """``hosts`` of each pattern, in order; ``reached``: of each host the variables ``KEYS`` that are set, as texts."""

    hosts: Mapping[str, Sequence[str]]
    reached: Mapping[str, Mapping[str, str]]


def ansible(inventory: Path, patterns: Sequence[str], home: Path) -> Told:
    """Ask Ansible, in a process of its own; ``home`` takes what it writes."""
    return ansibles([inventory], patterns, home)[0]


def ansibles(inventories: Sequence[Path], patterns: Sequence[str], home: Path) -> Sequence[Told]:
    """The same of several inventories."""
    done = subprocess.run(
        [sys.executable, __file__, *inventories],
        input=json.dumps(patterns),
        env=environment(home, ANSIBLE_HOME=str(home)),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [Told(*one) for one in json.loads(done.stdout)]


def _answer(path: str, patterns: Sequence[str]) -> tuple[object, object]:
    from ansible.inventory.manager import InventoryManager  # noqa: PLC0415
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415
    from ansible.vars.manager import VariableManager  # noqa: PLC0415

    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[path])
    manager = VariableManager(loader=loader, inventory=inventory)
    found = {one: [host.name for host in inventory.get_hosts(one)] for one in patterns}
    reached = {}
    for host in inventory.get_hosts("all"):
        values = manager.get_vars(host=host, include_hostvars=False)
        reached[host.name] = {key: str(values[key]) for key in KEYS if key in values}
    return found, reached


if __name__ == "__main__":
    wanted = json.load(sys.stdin)
    print(json.dumps([_answer(path, wanted) for path in sys.argv[1:]]))
