"""Who is in a group: what its settings may say, lists of hosts, ranges, what programs print."""

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.client.fleet import Host
from repod.client.hostranges import expanded
from repod.client.members import distinct, is_name, natural
from repod.client.places import Base
from repod.client.settings import parse
from repod.client.wiring import open_transports, resolve
from repod.errors import Misconfigured, RepodError, Unavailable


def _resolve(text: str, folder: Path = Path("/nowhere"), environ: dict[str, str] | None = None) -> Sequence[Host]:
    settings = parse(tomllib.loads(f"[group.g]\n{text}"), Base(folder=folder, home=folder))
    return resolve(settings, "g", environ or {"PATH": "/usr/bin:/bin"})


def _faults(text: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        _resolve(text)
    return str(caught.value)


def test_a_list_names_hosts_users_ports_addresses_and_ranges() -> None:
    found = _resolve(
        'hosts = ["web1", "admin@web2:2222", "[2001:db8::1]:22", "2001:db8::2", "root@db[08:10].example.com:22"]'
    )
    assert [(host.name, host.address, host.user, host.port) for host in found] == [
        ("web1", "web1", "", 0),
        ("web2", "web2", "admin", 2222),
        ("2001:db8::1", "2001:db8::1", "", 22),
        ("2001:db8::2", "2001:db8::2", "", 0),
        *((f"db{number}.example.com",) * 2 + ("root", 22) for number in ("08", "09", "10")),
    ]
    assert {host.way for host in found} == {"ssh"}


def test_a_host_may_have_a_name_beside_its_address_and_a_way_of_its_own() -> None:
    text = (
        '[{name = "web1", address = "10.0.0.1", port = 2201, facts = {rack = "a"}}, {name = "me", transport = "local"}]'
    )
    web, me = _resolve(f"hosts = {text}")
    assert (web.name, web.address, web.port, web.facts) == ("web1", "10.0.0.1", 2201, {"rack": "a"})
    assert (me.way, me.address) == ("local", "me")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "group g has no source of hosts: expected one of hosts, ansible, ec2, ssm, command in [group.g]"),
        ("ec2 = {}", "group g has no source of hosts"),
        (
            'hosts = ["a"]\ncommand = ["b"]',
            "expected one source of hosts, found hosts and command; make a group of each",
        ),
        ('hosts = ["a"]\npattern = "web"', "pattern belongs to ansible, found with hosts"),
        ('hosts = ["a"]\nregion = "eu-west-1"', "region belongs to ec2 or ssm, found with hosts"),
        ('ssm = {"tag:a" = "b"}\ntransport = "ssh"', 'hosts from ssm are reached by ssm, found transport = "ssh"'),
        ('ec2 = {"tag:a" = "b"}\ntransport = "ssm"\naddress = "public-ip"', "reaches instances by their id"),
        ('hosts = ["a:99999"]', "hosts 'a:99999': expected a port from 1 to 65535, found 99999"),
        ('hosts = ["a b"]', "hosts 'a b': expected HOST, USER@HOST, HOST:PORT or [IPv6]:PORT, found 'a b'"),
        ('hosts = ["web[3:1]"]', "expected a range such as [1:9], [01:12], [a:f] or [0:20:5], found '[3:1]'"),
        ('hosts = ["web[1:99999]"]', "expected a range"),
        ('hosts = ["n[1:200]-[1:200]"]', "expected at most 10000 names, found 40000"),
        ('hosts = ["web1", "admin@web1:2222"]', "host web1 is there twice, as web1 (ssh) and as admin@web1:2222 (ssh)"),
        ('hosts = ["-oProxyCommand=x"]', "is no name for a host"),
        ('hosts = [{name = "a", address = "-oProxyCommand=x"}]', "host a has no address that can be connected to"),
        ('hosts = [{name = "a", user = "-x"}]', "host a has no user that can log in, found '-x'"),
        ('hosts = [{name = "a", adress = "b"}]', "adress"),
    ],
)
def test_a_fault_of_the_settings_is_told(text: str, fault: str) -> None:
    assert fault in _faults(text)


def test_all_faults_of_names_are_told_at_once() -> None:
    assert len(_faults('hosts = ["a!", "b", "b", "c c!"]').splitlines()) >= 1
    assert len(_faults('hosts = ["a!", "b", "b", "c!"]').splitlines()) == 3


def test_a_group_that_is_not_there_is_told_with_those_that_are() -> None:
    settings = parse({"group": {"web": {"hosts": ["a"]}}}, Base(folder=Path("/"), home=Path("/")))
    for ask in (lambda: resolve(settings, "wbe", {}), lambda: open_transports(settings, "wbe")):
        with pytest.raises(Misconfigured, match="group 'wbe' is not in the settings; there are: web"):
            ask()


def _printing(folder: Path, text: str) -> str:
    (folder / "list").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "list").chmod(0o755)
    return 'command = ["./list", "--prod"]'


def test_a_program_prints_names_and_objects(tmp_path: Path) -> None:
    listed = ["web1", {"name": "web2", "address": "10.0.0.2", "user": "admin", "port": 22, "facts": {"role": "web"}}]
    listed.append({"name": "i", "address": "i-1", "transport": "ssm"})
    found = _resolve(_printing(tmp_path, f"cat <<'END'\n{json.dumps(listed)}\nEND"), tmp_path)
    assert [(host.name, host.address, host.user, host.port, host.way) for host in found] == [
        ("web1", "web1", "", 0, "ssh"),
        ("web2", "10.0.0.2", "admin", 22, "ssh"),
        ("i", "i-1", "", 0, "ssm"),
    ]
    assert found[1].facts == {"role": "web"}


def test_a_program_gets_its_arguments_as_they_are_and_no_token(tmp_path: Path) -> None:
    text = _printing(tmp_path, """printf '["n%s.%s.%s"]' "$#" "${HOME##*/}" "${REPOCTL_TOKEN:-none}" """)
    text = text.replace("--prod", "a b; $(id)")
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/home/me", "REPOCTL_TOKEN": "secret"}
    assert [host.name for host in _resolve(text, tmp_path, environ)] == ["n1.me.none"]


@pytest.mark.parametrize(
    ("text", "kind", "fault"),
    [
        ("echo '{}'", Misconfigured, r"printed no list of hosts: .*expected JSON such as \[\"web1\""),
        ('echo \'[{"name": "a", "adress": "b"}]\'', Misconfigured, "entry 0, adress"),
        ('echo \'[{"address": "b"}]\'', Misconfigured, "entry 0, name"),
        ("echo '[1]'", Misconfigured, "printed no list of hosts"),
        ("echo '[\"\"]'", Misconfigured, "entry 0, name: String should have at least 1 character"),
        ("echo '[\"a\"'", Misconfigured, "printed no list of hosts"),
        ("echo lost >&2; exit 1", Unavailable, r"\./list --prod ended with exit status 1, .*\(lost\)"),
        ("kill -9 $$", Unavailable, "ended with signal 9"),
        ("head -c 17000000 /dev/zero", Misconfigured, "printed more than 16 MiB"),
    ],
)
def test_a_program_that_fails_never_means_no_hosts(
    tmp_path: Path, text: str, kind: type[RepodError], fault: str
) -> None:
    with pytest.raises(kind, match=fault):
        _resolve(_printing(tmp_path, text), tmp_path)


def test_a_program_that_is_not_there_is_told_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=re.escape(f"./list in {tmp_path} cannot be run (No such file")):
        _resolve('command = ["./list"]', tmp_path)


@given(st.integers(0, 300), st.integers(0, 60), st.integers(1, 9))
def test_a_range_of_numbers_is_all_numbers_between_its_ends(first: int, more: int, step: int) -> None:
    width = len(str(first + more))
    padded = f"{first:0{width}d}"
    numbers = range(first, first + more + 1, step)
    names = expanded(f"a[{padded}:{first + more}:{step}]z")
    assert names == [f"a{number:0{width if padded[0] == '0' and width > 1 else 0}d}z" for number in numbers]


def test_several_ranges_are_all_their_pairs_the_last_one_running_fastest() -> None:
    assert expanded("[a:b]-[1:2]") == ["a-1", "a-2", "b-1", "b-2"]
    assert expanded("plain") == ["plain"]


def test_names_of_a_cloud_become_distinct_and_stay_usable() -> None:
    hosts = [Host(name=name, address="x") for name in ("web", "db", "web", "", "no name")]
    found = [host.name for host in distinct(hosts, ["i-1", "i-2", "i-3", "i-4", "i-5"])]
    assert found == ["web.i-1", "db", "web.i-3", "i-4", "i-5"]
    assert all(map(is_name, found))


def test_numbers_in_names_are_ordered_as_numbers() -> None:
    assert sorted(["web10", "web2", "web", "db1", "web2a"], key=natural) == ["db1", "web", "web2", "web2a", "web10"]
