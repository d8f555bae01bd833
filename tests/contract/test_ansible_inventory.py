"""Ansible inventories are read as Ansible reads them; what only Ansible can evaluate is refused, not guessed."""

import json
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from repod.client.fleet import Host
from repod.client.inventory.opening import open_inventory
from repod.client.places import Base
from repod.client.settings import parse
from repod.errors import Misconfigured, Unavailable
from tests.lab.ansibles import Told, ansible, ansibles

_INI = """
# one that is in no group
lonely ansible_host=10.9.9.9   # with a remark
[web]
web[01:03].example.com ansible_port=2222
edge-[a:c] ansible_user="admin" ansible_host='10.0.0.7'
node[1:10:4]:2022 other=x
[web:vars]
ansible_user=deploy
ansible_ssh_private_key_file=/keys/web
[db]
db1
db2 ansible_connection=local
web02.example.com
[prod:children]
web
db ; no remark for Ansible, but for us
[prod:vars]
ansible_user=prod
ansible_port=22
[all:vars]
ansible_user=everyone
""".replace(" ; no remark for Ansible, but for us", "")

_YAML = """
all:
  vars: {ansible_user: everyone}
  hosts:
    lonely: {ansible_host: 10.9.9.9}
  children:
    web:
      hosts:
        web[01:03].example.com:
        edge-[a:c]: {ansible_port: 2222}
      vars: {ansible_user: deploy, secret: !vault "x"}
    db:
      hosts:
        db1:
        web02.example.com: {ansible_user: own}
    prod:
      children: {web: , db: }
      vars: {ansible_user: prod, ansible_ssh_private_key_file: /keys/prod}
stage:
  hosts: {db9: {ansible_connection: local}}
"""

_LISTED = {
    "web": {"hosts": ["web1", "web2"], "vars": {"ansible_user": "deploy"}},
    "db": ["db1", "web2"],
    "prod": {"children": ["web", "db"], "vars": {"ansible_port": 2222}},
    "_meta": {"hostvars": {"web1": {"ansible_host": "10.0.0.1"}, "gone": {"ansible_host": "10.0.0.2"}}},
}

_PATTERNS = (
    "all",
    "web",
    "prod",
    "web:db",
    "prod:&web",
    "prod:!db",
    "all:!web:&prod",
    "!web",
    "&web",
    "web,!db",
    "web*",
    "*e*",
    "web:!web*2*",
    "~(web|db).*",
    "~^db[0-9]$",
    "web[0]",
    "web[-1]",
    "web[0:1]",
    "web[1:]",
    "prod[1]:!db",
    "ungrouped",
    "d?*",
)
# A subscript depends on the order in which groups come to a host's neighbours, which Ansible leaves open.
_SAFE = tuple(pattern for pattern in _PATTERNS if "[" not in pattern)


def _script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def _found(folder: Path, inventory: str, pattern: str = "all", **more: object) -> Sequence[Host]:
    group = {"ansible": inventory, "pattern": pattern, **more}
    settings = parse({"group": {"g": group}}, Base(folder=folder, home=folder))
    return open_inventory("g", settings, {"PATH": "/usr/bin:/bin"}).hosts()


def _reached(host: Host) -> Mapping[str, str]:
    known = {
        "ansible_host": host.address if host.address != host.name else "",
        "ansible_port": str(host.port or ""),
        "ansible_user": host.user,
        "ansible_connection": "local" if host.way == "local" else "",
        "ansible_ssh_private_key_file": host.identity,
    }
    return {key: value for key, value in known.items() if value}


def _same_as_ansible(folder: Path, inventory: str, told: Told | None = None) -> None:
    """``told``: what Ansible said, where groups lie so deep that it leaves the order of their hosts to chance."""
    expected = told or ansible(folder / inventory, _PATTERNS, folder)
    for pattern, names in expected.hosts.items():
        found = [host.name for host in _found(folder, inventory, pattern, allow_empty=True)]
        assert sorted(found) == sorted(names), (inventory, pattern)
        if told is None and pattern in {"web", "web:db", "prod:&web", "web[1:]"}:
            assert found == names, (inventory, pattern)
    assert {host.name: _reached(host) for host in _found(folder, inventory)} == expected.reached, inventory


def test_ini_is_read_as_ansible_reads_it(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text(_INI)
    _same_as_ansible(tmp_path, "hosts.ini")


def _drawn(random: Random) -> str:
    """An INI inventory with what patterns name, and groups that are nested at random."""
    groups = ["web", "db", "prod", "stage", "edge", "core"]
    lines = []
    for group in groups:
        lines.append(f"[{group}]")
        lines += [
            random.choice(["{0}{1}", "{0}[{1}:{2}]", "db{1}", "e{1}", "web2{1}"]).format(
                group, number := random.randrange(5), number + 2
            )
            + random.choice(["", f" ansible_port={random.randrange(1, 99)}", " ansible_user=own"])
            for _ in range(3)
        ]
        if random.random() < 0.6:
            lines += [f"[{group}:vars]", f"ansible_user={group}", f"ansible_host=10.0.0.{random.randrange(9)}"]
    # Children come later in the list than their parents, so that there is no circle.
    for place, group in enumerate(groups[:-1]):
        if random.random() < 0.7:
            below = groups[place + 1 :]
            lines += [f"[{group}:children]", *random.sample(below, random.randrange(1, len(below) + 1))]
    return "\n".join(lines)


def test_inventories_drawn_at_random_are_read_as_ansible_reads_them(tmp_path: Path) -> None:
    names = [f"hosts{seed}.ini" for seed in range(20)]
    for seed, name in enumerate(names):
        (tmp_path / name).write_text(_drawn(Random(seed)))
    told = ansibles([tmp_path / name for name in names], _SAFE, tmp_path)
    for name, one in zip(names, told, strict=True):
        _same_as_ansible(tmp_path, name, one)


def test_yaml_is_read_as_ansible_reads_it_with_or_without_an_extension(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(_YAML)
    _same_as_ansible(tmp_path, "hosts")
    (tmp_path / "hosts.yml").write_text(_YAML)
    assert _found(tmp_path, "hosts.yml") == _found(tmp_path, "hosts")


def test_a_script_is_asked_as_ansible_asks_it(tmp_path: Path) -> None:
    _script(tmp_path / "hosts.sh", f"#!/bin/sh\n[ \"$1\" = --list ] && cat <<'END'\n{json.dumps(_LISTED)}\nEND\n")
    _same_as_ansible(tmp_path, "hosts.sh")


def test_a_directory_with_variables_beside_it_is_read_as_ansible_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    for name in ("group_vars/web", "host_vars", "more"):
        (folder / name).mkdir(parents=True)
    (folder / "10-hosts").write_text(_INI)
    (folder / "20-more.yml").write_text("new: {hosts: {new1: }, children: {web: }}\n")
    _script(folder / "more" / "asked", f"#!/bin/sh\necho '{json.dumps({'late': ['late1', 'db1'], '_meta': {}})}'\n")
    (folder / "old.bak").write_text("never read")
    (folder / "group_vars" / "all.yml").write_text("ansible_user: beside\nansible_port: 2200\n")
    (folder / "group_vars" / "web" / "main.yml").write_text("ansible_user: beside-web\n")
    (folder / "group_vars" / "web" / "vault").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    (folder / "host_vars" / "db1").write_text("ansible_host: 10.1.1.1\n")
    found = {host.name: host for host in _found(tmp_path, "inventory")}
    assert found["web01.example.com"].user == "beside-web"
    assert (found["db1"].user, found["db1"].address, found["db1"].port) == ("beside", "10.1.1.1", 2200)
    (folder / "group_vars" / "web" / "vault").unlink()  # Ansible wants its password
    _same_as_ansible(tmp_path, "inventory")


def test_a_configuration_of_a_plugin_is_handed_to_ansible_itself(tmp_path: Path) -> None:
    (tmp_path / "x.generator.yml").write_text(
        "plugin: ansible.builtin.generator\n"
        "hosts: {name: 'web{{ n }}', parents: [{name: web}]}\n"
        "layers: {n: ['1', '2']}\n"
    )
    _script(tmp_path / "ansible-inventory", f'#!/bin/sh\nexec "{sys.executable}" -m ansible inventory "$@"\n')
    (tmp_path / "ansible.cfg").write_text("[inventory]\nenable_plugins = ansible.builtin.generator\n")
    group = {"ansible": "x.generator.yml", "pattern": "web"}
    settings = parse({"group": {"g": group}}, Base(folder=tmp_path, home=tmp_path))
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    assert [host.name for host in open_inventory("g", settings, environ).hosts()] == ["web1", "web2"]
    with pytest.raises(Misconfigured, match=r"configures an inventory plugin.*install ansible-core"):
        open_inventory("g", settings, {"PATH": "/nowhere"}).hosts()


def test_a_script_without_meta_is_asked_for_each_host(tmp_path: Path) -> None:
    _script(
        tmp_path / "old",
        '#!/bin/sh\nif [ "$1" = --list ]; then echo \'{"web": ["a", "b"]}\'\n'
        'else echo "{\\"ansible_host\\": \\"10.0.0.$2\\"}"; fi\n',
    )
    assert [host.address for host in _found(tmp_path, "old")] == ["10.0.0.a", "10.0.0.b"]


def test_a_host_that_is_reached_otherwise_is_refused_unless_it_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[web]\nweb1\n[win]\nwin1 ansible_connection=winrm\n")
    with pytest.raises(Misconfigured, match="host win1: expected ansible_connection ssh or local, found 'winrm'"):
        _found(tmp_path, "hosts.ini")
    assert [host.name for host in _found(tmp_path, "hosts.ini", "all:!win")] == ["web1"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[web]\nweb1 ansible_host='{{ x }}'\n", r"host web1: ansible_host is a template, which only Ansible can read"),
        ("[web]\nweb1 ansible_port=many\n", r"host web1: expected ansible_port from 1 to 65535, found 'many'"),
        ("[web]\nweb1 alone\n", r"hosts\.ini, line 2: expected KEY=VALUE, found 'alone'"),
        ("[web]\nweb1 a='\n", r"hosts\.ini, line 2: expected a host and its variables"),
        ("[web]\nweb[1:x]\n", r"hosts\.ini, line 2: hosts 'web\[1:x\]': expected a range"),
        ("[web]\nweb[01:3]\n", r"expected a range"),
        ("[web:things]\n", r"line 1: expected \[GROUP\], \[GROUP:vars\] or \[GROUP:children\], found \[web:things\]"),
        ("[a:children]\nb\n", r"line 2: expected a group that is there, found 'b'; add \[b\]"),
        ("[a:vars]\nb=1\n", r"line 1: expected a group that is there, found 'a'; add \[a\]"),
        ("[a:children]\nb\n[b:children]\na\n", r"group a is a child of itself"),
        ("[web]\n", r"group g has no host now: none of .*hosts\.ini fits pattern 'all'"),
        ("[web]\nweb_1\nweb!\n", r"group g: 'web!' is no name for a host"),
    ],
)
def test_a_fault_says_where_it_is(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "hosts.ini").write_text(text)
    with pytest.raises(Misconfigured, match=fault):
        _found(tmp_path, "hosts.ini")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- web1\n", r"expected groups such as .* found a list"),
        ("", r"expected groups such as"),
        ("web: {hosts: [web1]}\n", r"group web, hosts: expected a mapping, found a list"),
        ("web: {host: {web1: }}\n", r"group web: expected hosts, vars and children, found host"),
        ("web: {hosts: {1: }}\n", r"group web, hosts: expected names, found 1; put it in quotes"),
        ("web: {hosts: {a: {ansible_host: !vault x}}}\n", r"host a: ansible_host is an encrypted value"),
        ("a: [\n", r"expected YAML, found what is none"),
        ("$ANSIBLE_VAULT;1.1;AES256\n61\n", r"found an encrypted file"),
    ],
)
def test_a_fault_of_a_yaml_file_says_where_it_is(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "hosts.yml").write_text(text)
    with pytest.raises(Misconfigured, match=fault):
        _found(tmp_path, "hosts.yml")


@pytest.mark.parametrize("pattern", ["wbe", "web:!wbe3", "web:&prd", "web:wb[0]"])
def test_a_name_that_the_inventory_does_not_have_is_a_slip_of_the_pen(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "hosts.ini").write_text("[web]\nweb[1:3]\n")
    with pytest.raises(Misconfigured, match="is neither a host nor a group of the inventory"):
        _found(tmp_path, "hosts.ini", pattern)


def test_a_pattern_that_may_fit_nothing_is_fine(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[web]\nweb[1:3]\n")
    assert [host.name for host in _found(tmp_path, "hosts.ini", "web:!maintenance*")] == ["web1", "web2", "web3"]


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        (":", "expected names of hosts"),
        ("~(", "is no regular expression"),
        ("web[7]", "at least 8 hosts in 'web', found 3"),
    ],
)
def test_a_pattern_that_is_none_is_told(tmp_path: Path, pattern: str, fault: str) -> None:
    (tmp_path / "hosts.ini").write_text("[web]\nweb[1:3]\n")
    with pytest.raises(Misconfigured, match=fault):
        _found(tmp_path, "hosts.ini", pattern)


@pytest.mark.parametrize(
    ("script", "kind", "fault"),
    [
        ("#!/bin/sh\necho no way >&2; exit 3\n", Unavailable, r"--list ended with exit status 3.*\(no way\)"),
        ("#!/bin/sh\necho '[]'\n", Misconfigured, "expected a JSON object of groups, found a list"),
        ("#!/bin/sh\necho hello\n", Misconfigured, "printed no JSON"),
        ("#!/bin/sh\nprintf 'Password: ' >&2; sleep 60\n", Unavailable, r"no end within 5 s \(Password:\)"),
        ("#!/no/such/program\n", Misconfigured, "take its x bit: chmod -x"),
        ("[web]\nweb1\n", Misconfigured, "take its x bit: chmod -x"),
    ],
)
def test_a_script_that_fails_never_means_no_hosts(
    tmp_path: Path, script: str, kind: type[Exception], fault: str
) -> None:
    _script(tmp_path / "hosts.sh", script)
    with pytest.raises(kind, match=fault):
        _found(tmp_path, "hosts.sh", timeout=5 if "sleep" in script else 60)


def test_the_limit_that_programs_have_together_is_told_as_it_is_set(tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    _script(tmp_path / "inventory/1-quick", "#!/bin/sh\nsleep 1; echo '{}'\n")
    _script(tmp_path / "inventory/2-hangs", "#!/bin/sh\nsleep 60\n")
    with pytest.raises(Unavailable, match=r"2-hangs --list: no end within 5 s; see what it waits for, or raise"):
        _found(tmp_path, "inventory", timeout=5)


def test_an_inventory_that_is_not_there_is_told_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=f"there is no {tmp_path}/hosts.ini"):
        _found(tmp_path, "hosts.ini")
