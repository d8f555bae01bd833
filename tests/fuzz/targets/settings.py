"""Settings: any text gives settings or a list of faults, a line each."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from repod import config, jsontext
from repod.callers.passwords import PasswordFile
from repod.callers.tokens import TokenFile
from repod.client import settings as client
from repod.client.hostgroups import Tree
from repod.client.hostpatterns import chosen
from repod.client.hostranges import expanded
from repod.client.inventory import ansiblefiles
from repod.client.transports.known import KnownHosts
from repod.errors import Corrupt, Misconfigured, Unavailable
from repod.windows import Window
from tests.fuzz import mutate
from tests.fuzz.core import Door, Finding, of_doors, only

_EXAMPLES = Path(__file__).parents[3] / "config"
_TOKENS = {
    "version": 1,
    "tokens": [
        {
            "name": "ci",
            "sha256": "a" * 64,
            "verbs": ["upload"],
            "repositories": ["*"],
            "created": 1.7e9,
            "expires": None,
        },
        {"name": "b", "sha256": "b" * 64, "verbs": ["read"], "repositories": ["x"], "created": 1.7e9, "expires": 1.8e9},
    ],
}
_SMALL = b"""state_dir = "s"
[signing]
key = "k.asc"
[http]
listen = "127.0.0.1:0"
[[repository]]
name = "a"
inbox = "in/a/i"
store = "www/a"
profile = "el9"
arches = ["x86_64", "noarch"]
[repository.retention]
keep = 5
grace = "3d"
[repository.acceptance]
names = ["*"]
max_size = "2GiB"
[[repository]]
name = "b"
inbox = "s3://bucket/in/"
store = "s3://bucket/out/"
[repository.promotion]
from = ["a"]
[[hook]]
name = "h"
url = "https://example.com/h"
"""
_INI = b"""web1 ansible_host=10.0.0.1 ansible_port=2222
web[2:4]
[db]
db-[a:c].example.com:22
[db:vars]
ansible_user=root
[all:children]
db
"""
_YAML = b"""web:
  hosts:
    web1: {ansible_host: 10.0.0.1}
    web[2:4]:
  vars: {ansible_user: root}
  children:
    db: {hosts: {db1: }}
"""
_LIST = b"""{"_meta": {"hostvars": {"a": {"ansible_host": "10.1"}}},
"web": {"hosts": ["a", "b"], "vars": {"x": 1}}, "db": ["c"]}"""
_KNOWN = b"""web1,10.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE0=
@revoked * ssh-rsa AAAAB3Nz
|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAAB3Nz
[web2]:2222,!x?,w*b ssh-rsa AAAA
"""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _file(path: Path, read: Callable[[], object]) -> Callable[[bytes], object]:
    def given(data: bytes) -> object:
        path.write_bytes(data)
        return read()

    return given


def _daemon(path: Path) -> Callable[[bytes], object]:
    def read() -> str:
        found = config.load(path)
        return f"{len(found.repository)} repositories"

    return _file(path, read)


def _tokens(path: Path) -> object:
    known = TokenFile(path, lambda: 1.75e9)
    for token in known.list():
        token.has_expired(1.75e9)
    return str(len(known.list()))


def _inventory(read: Callable[[Tree, bytes], object]) -> Callable[[bytes], object]:
    def given(data: bytes) -> object:
        tree = Tree()
        read(tree, data)
        names = chosen(tree, "all:!web1")
        return f"{min(len(names), 9)} hosts"

    return given


def _patterned(data: bytes) -> object:
    tree = Tree()
    ansiblefiles.read_ini(tree, _INI.decode(), "hosts")
    for host in chosen(tree, _text(data)):
        if host not in tree.hosts:
            raise Finding(f"a host that is none: {host!r}")
    return "chosen"


def _known(path: Path) -> object:
    found = KnownHosts.read([path])
    return f"{len(found.of('web1'))} {len(found.of('[web2]:2222'))} {len(found.of('wxb'))}"


def _printed(tree: Tree, data: bytes) -> object:
    try:
        found = jsontext.loads(data)
    except ValueError as error:
        raise Misconfigured(str(error)) from error
    return ansiblefiles.read_listed(tree, found, "script")


def _yaml(tree: Tree, data: bytes) -> None:
    ansiblefiles.read_yaml(tree, ansiblefiles.loaded(_text(data), "hosts.yml"), "hosts.yml")


def _doors(folder: Path) -> Mapping[str, Door]:
    def door(read: Callable[[bytes], object], *seeds: bytes, how: Any = mutate.toml, lines: int = 0) -> Door:
        return Door(read=read, refusals=(Misconfigured, Unavailable, Corrupt), mutate=how, seeds=seeds, lines=lines)

    def example(name: str) -> bytes:
        return (_EXAMPLES / name).read_bytes()

    client_file, known = folder / "repoctl.toml", folder / "known_hosts"
    htpasswd, tokens = folder / "htpasswd", folder / "tokens.json"
    environ = {"HOME": str(folder)}
    return {
        "repod.toml": door(_daemon(folder / "repod.toml"), _SMALL, example("repod.toml")),
        "repoctl.toml": door(
            _file(client_file, lambda: client.load(client_file, environ)), *_clients(_EXAMPLES), how=mutate.toml
        ),
        "tokens.json": door(
            _file(tokens, lambda: _tokens(tokens)), json.dumps(_TOKENS).encode(), how=mutate.as_json, lines=1
        ),
        "htpasswd": door(
            _file(htpasswd, lambda: str(len(PasswordFile(htpasswd).names()))),
            b"ann:$2y$05$" + b"a" * 53 + b"\n# x\nbob:$2b$10$" + b"b" * 53 + b"\n",
            how=mutate.text,
            lines=1,
        ),
        "window": door(
            only(lambda data: Window.parse(_text(data)).is_open(1.7e9), ValueError),
            b"Mon-Fri 22:00-06:00",
            b"daily 01:00-02:30 UTC",
            b"Sat,Sun 00:00-24:00",
            how=mutate.text,
        ),
        "hosts.ini": door(
            _inventory(lambda tree, data: ansiblefiles.read_ini(tree, _text(data), "hosts")),
            _INI,
            how=mutate.text,
            lines=1,
        ),
        "hosts.yml": door(_inventory(_yaml), _YAML, how=mutate.text, lines=1),
        "hosts.json": door(_inventory(_printed), _LIST, how=mutate.as_json, lines=1),
        "pattern": door(_patterned, b"web:&db:!web3", b"db*", b"~web[0-9]+", b"web[0:2]", b"all[-1]", how=mutate.text),
        "range": door(
            lambda data: str(min(len(expanded(_text(data))), 99)),
            b"web[1:9].x",
            b"[01:12]",
            b"[a:f]",
            b"[0:20:5]",
            how=mutate.text,
        ),
        "known_hosts": door(_file(known, lambda: _known(known)), _KNOWN, how=mutate.text),
    }


def _clients(folder: Path) -> list[bytes]:
    return [(folder / "repoctl.toml").read_bytes()]


SETTINGS = of_doors(
    "settings", "repod.toml, repoctl.toml, tokens, passwords, inventories: settings, or all faults", _doors
)
