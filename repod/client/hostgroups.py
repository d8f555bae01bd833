"""Hosts, groups and their variables as an Ansible inventory has them, and how they follow from each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repod.numerals import number

Vars = dict[str, Any]

ALL = "all"
UNGROUPED = "ungrouped"


@dataclass(slots=True)
class Tree:
    """What inventories add up to; filled by who reads them. All keep the order in which they were added.

    ``beside_groups`` and ``beside_hosts`` are what files in ``group_vars`` and ``host_vars`` say.
    """

    hosts: dict[str, Vars] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=lambda: {ALL: [], UNGROUPED: []})
    children: dict[str, list[str]] = field(default_factory=dict)
    groups: dict[str, Vars] = field(default_factory=lambda: {ALL: {}, UNGROUPED: {}})
    beside_groups: dict[str, Vars] = field(default_factory=dict)
    beside_hosts: dict[str, Vars] = field(default_factory=dict)

    def add_group(self, group: str) -> None:
        """Make it known."""
        self.groups.setdefault(group, {})
        self.members.setdefault(group, [])

    def add_child(self, group: str, child: str) -> None:
        """All hosts of ``child`` are in ``group`` too."""
        self.add_group(group)
        self.add_group(child)
        listed = self.children.setdefault(group, [])
        if child not in listed and group != child:
            listed.append(child)

    def add_host(self, host: str, group: str, values: Mapping[str, Any]) -> None:
        """Make it known as one of a group."""
        self.add_group(group)
        self.hosts.setdefault(host, {}).update(values)
        if host not in self.members[group]:
            self.members[group].append(host)


def below(tree: Tree, group: str) -> Sequence[str]:
    """A group and all that are below it, each once, level by level."""
    found = [group]
    for one in found:
        found += [child for child in tree.children.get(one, ()) if child not in found]
    return found


def hosts_of(tree: Tree, group: str) -> Sequence[str]:
    """All hosts that are in a group, by itself or by those below it; in ``all`` are all."""
    if group == ALL:
        return list(tree.hosts)
    if group == UNGROUPED:
        grouped = {host for one, hosts in tree.members.items() if one not in {ALL, UNGROUPED} for host in hosts}
        return [host for host in tree.hosts if host not in grouped]
    return list(dict.fromkeys(host for one in below(tree, group) for host in tree.members.get(one, ())))


def memberships(tree: Tree) -> Mapping[str, Sequence[str]]:
    """The groups of each host, without ``all``: those far from ``all`` last, since what they say counts most."""
    depths = _depths(tree)
    ordered = sorted(tree.groups.keys() - {ALL}, key=lambda group: (depths[group], _priority(tree, group), group))
    found: dict[str, list[str]] = {host: [] for host in tree.hosts}
    for group in ordered:
        for host in hosts_of(tree, group):
            found[host].append(group)
    return found


def values_of(tree: Tree, host: str, groups: Sequence[str]) -> Vars:
    """The variables of a host that is in ``groups``, by Ansible's precedence.

    https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html#understanding-variable-precedence
    """
    found: Vars = {}
    for layer in _layers(tree, groups, host):
        found.update(layer)
    return found


def _layers(tree: Tree, groups: Sequence[str], host: str) -> Iterator[Vars]:
    yield tree.groups[ALL]
    yield from (tree.groups[group] for group in groups)
    yield tree.beside_groups.get(ALL, {})
    yield from (tree.beside_groups.get(group, {}) for group in groups)
    yield tree.hosts[host]
    yield tree.beside_hosts.get(host, {})


def circle(tree: Tree) -> str:
    """A group that is below itself; empty where there is none."""
    for group in tree.groups:
        if any(group in tree.children.get(one, ()) for one in below(tree, group)):
            return group
    return ""


def _depths(tree: Tree) -> Mapping[str, int]:
    """How far each group is from ``all`` by its longest way; the tree has no circle."""
    found = dict.fromkeys(tree.groups, 1) | {ALL: 0}
    changed = True
    while changed:
        changed = False
        for group, children in tree.children.items():
            for child in children:
                if group != ALL and found[child] <= found[group]:
                    found[child] = found[group] + 1
                    changed = True
    return found


def _priority(tree: Tree, group: str) -> int:
    value = str(tree.groups[group].get("ansible_group_priority", 1))
    found = number(value.removeprefix("-"))
    return 1 if found is None else -found if value.startswith("-") else found
