"""How one gets to a host: what its inventory says stands before the settings, and those before ~/.ssh/config."""

import getpass
from pathlib import Path

import pytest

from repod.client.fleet import Host, HostFault, Trouble
from repod.client.sshing import Ssh, overridden
from repod.client.transports.route import KNOWN_HOSTS, Route, Router
from repod.errors import Misconfigured
from tests.lab.sshkeys import ssh_key


def _route(host: Host, **settings: object) -> Route:
    return Router(Ssh.model_validate({"config": "", **settings})).route(host)


def _host(address: str = "web1", **more: object) -> Host:
    return Host(name="web1", address=address, **more)  # type: ignore[arg-type]


def _config(tmp_path: Path, text: str) -> str:
    path = tmp_path / "config"
    path.write_text(text)
    return str(path)


def test_where_nothing_is_said_it_is_as_ssh_does_it() -> None:
    route = _route(_host())
    assert (route.address, route.port, route.user, route.known_as) == ("web1", 22, getpass.getuser(), "web1")
    assert (route.identities, route.search, route.jumps, route.command) == ((), True, (), "")
    assert route.known_hosts == tuple(Path(one).expanduser() for one in KNOWN_HOSTS)


def test_the_inventory_stands_before_the_settings_and_those_before_the_file(tmp_path: Path) -> None:
    config = _config(tmp_path, "Host web*\n  User file\n  Port 2001\n")
    assert str(_route(_host(), config=config)) == "file@web1:2001"
    assert str(_route(_host(), config=config, user="set", port=2002)) == "set@web1:2002"
    assert str(_route(_host(user="own", port=2003), config=config, user="set", port=2002)) == "own@web1:2003"


def test_the_file_names_address_alias_keys_and_known_hosts(tmp_path: Path) -> None:
    key = ssh_key().write(tmp_path / "key")
    route = _route(
        _host(),
        config=_config(
            tmp_path,
            f"Host web1\n  HostName 10.0.0.1\n  Port 2222\n  IdentityFile {key}\n  IdentityFile {tmp_path}/none\n"
            f"  HostKeyAlias Web-One\n  UserKnownHostsFile {tmp_path}/a {tmp_path}/b\n",
        ),
    )
    assert (route.address, route.known_as, route.identities) == ("10.0.0.1", "web-one", (str(key),))
    assert route.known_hosts == (tmp_path / "a", tmp_path / "b")
    assert not route.search
    assert _route(_host(), port=2222).known_as == "[web1]:2222"


def test_jump_hosts_come_from_the_settings_else_from_the_file_and_are_looked_up_there_too(tmp_path: Path) -> None:
    text = "Host web1\n  ProxyJump one,ops@two:2222\nHost one\n  HostName 10.0.0.9\n  User gate\n"
    route = _route(_host(), config=_config(tmp_path, text), user="deploy")
    me = getpass.getuser()
    assert [str(jump) for jump in route.jumps] == ["gate@10.0.0.9", "ops@two:2222"]
    route = _route(_host(), config=_config(tmp_path, text), jump="three, [2001:db8::1]:23")
    assert [str(jump) for jump in route.jumps] == [f"{me}@three", f"{me}@2001:db8::1:23"]
    assert [jump.known_as for jump in route.jumps] == ["three", "[2001:db8::1]:23"]


def test_none_takes_back_what_the_file_says_of_the_way(tmp_path: Path) -> None:
    config = _config(tmp_path, "Host web1\n  ProxyJump one\nHost web2\n  ProxyCommand nc -x proxy %h %p\n")
    assert _route(_host(), config=config, jump="none").jumps == ()
    assert _route(_host("web2"), config=config).command == "nc -x proxy web2 22"
    assert _route(_host("web2"), config=config, jump="none").command == ""


def test_what_the_settings_name_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no key")
    with pytest.raises(Misconfigured) as found:
        _route(_host(), identity=[str(tmp_path / "gone"), str(tmp_path / "text")])
    assert [fault.split(" (")[0] for fault in found.value.faults] == [
        f"ssh: identity {tmp_path}/gone: it cannot be read",
        f"ssh: identity {tmp_path}/text: it is no private key",
    ]
    with pytest.raises(Misconfigured, match=r"config .*/gone does not exist"):
        _route(_host(), config=str(tmp_path / "gone"))
    with pytest.raises(Misconfigured, match="cannot be read as ssh_config"):
        _route(_host(), config=_config(tmp_path, "Host web1\n  Match\n  nonsense"))


def test_a_key_that_the_inventory_names_comes_first_and_that_it_is_none_is_the_trouble_of_that_host(
    tmp_path: Path,
) -> None:
    own, general = (ssh_key().write(tmp_path / name) for name in ("own", "general"))
    route = _route(_host(identity=str(own)), identity=str(general))
    assert route.identities == (str(own), str(general))
    with pytest.raises(HostFault, match=r"web1: identity .*/gone: it cannot be read") as found:
        _route(_host(identity=str(tmp_path / "gone")))
    assert found.value.trouble == Trouble.DENIED


def test_an_encrypted_key_is_fine_since_an_agent_may_have_it(tmp_path: Path) -> None:
    path = ssh_key("a passphrase").write(tmp_path / "key")
    assert _route(_host(), identity=str(path)).identities == (str(path),)


def test_a_group_sets_what_is_its_own() -> None:
    general = Ssh(user="deploy", port=2222, jump="bastion")
    assert overridden(general, Ssh(port=22)) == general.model_copy(update={"port": 22})
    assert overridden(general, Ssh(jump=[])).jump == []
