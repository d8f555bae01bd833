"""known_hosts files, read as OpenSSH reads them."""

import subprocess
from pathlib import Path

import pytest

from repod.client.transports.known import KnownHosts, called, fingerprint
from tests.lab.sshkeys import SshKey, ssh_key

KEY, OTHER = ssh_key(), ssh_key()


def _read(tmp_path: Path, *lines: str) -> KnownHosts:
    path = tmp_path / "known_hosts"
    path.write_text("".join(f"{line}\n" for line in lines))
    return KnownHosts.read([path, tmp_path / "missing"])


def _found(known: KnownHosts, name: str) -> list[str]:
    return [f"{one.marker}{one.place.rpartition(':')[2]}" for one in known.of(name)]


def test_a_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    path = KEY.write(tmp_path / "key")
    said = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout
    (one,) = _read(tmp_path, f"web1 {KEY.public}").of("web1")
    assert fingerprint(one.blob) == KEY.fingerprint == said.split()[1]


def test_a_host_is_called_with_its_port_where_that_is_another() -> None:
    assert [called("Web1", 22), called("web1", 2222), called("2001:db8::1", 2222)] == [
        "web1",
        "[web1]:2222",
        "[2001:db8::1]:2222",
    ]


def test_names_are_found_in_lists_patterns_and_with_ports(tmp_path: Path) -> None:
    known = _read(
        tmp_path,
        "# a comment",
        "",
        f"web1,10.0.0.1 {KEY.public} who@where",
        f"[web1]:2222 {OTHER.public}",
        f"*.example.com,!bad.example.com {KEY.public}",
        f"10.0.0.? {OTHER.public}",
        f"[*.example.com]:2222 {OTHER.public}",
    )
    assert _found(known, "web1") == ["3"]
    assert _found(known, "[web1]:2222") == ["4"]
    assert _found(known, "10.0.0.1") == ["3", "6"]
    assert _found(known, "a.example.com") == ["5"]
    assert _found(known, "bad.example.com") == []
    assert _found(known, "[a.example.com]:2222") == ["7"]
    assert _found(known, "web2") == []


def test_hashed_names_are_those_that_ssh_keygen_hashes(tmp_path: Path) -> None:
    _read(tmp_path, f"web1 {KEY.public}", f"[web2]:2222 {OTHER.public}")
    path = tmp_path / "known_hosts"
    subprocess.run(["ssh-keygen", "-H", "-f", path], check=True, capture_output=True)
    assert "web" not in path.read_text()
    known = KnownHosts.read([path])
    assert (_found(known, "web1"), _found(known, "[web2]:2222"), _found(known, "web2")) == (["1"], ["2"], [])


def test_markers_are_told_apart(tmp_path: Path) -> None:
    known = _read(tmp_path, f"@revoked * {OTHER.public}", f"@cert-authority *.example.com {KEY.public}")
    assert _found(known, "a.example.com") == ["@revoked1", "@cert-authority2"]


@pytest.mark.parametrize(
    "line",
    ["web1", "web1 ssh-ed25519", "web1 ssh-ed25519 not!base64", "|1|abc web1 ssh-ed25519", "|1|x|y ssh-ed25519 AAAA"],
)
def test_a_line_that_cannot_be_read_is_passed_over(tmp_path: Path, line: str) -> None:
    assert _found(_read(tmp_path, line, f"web1 {KEY.public}"), "web1") == ["2"]


def test_the_line_of_a_key_is_what_ssh_keygen_finds(tmp_path: Path) -> None:
    names = ["web1", "[web1]:2222", "a.example.com", "10.0.0.7"]
    keys: dict[str, SshKey] = {name: ssh_key() for name in names}
    known = _read(tmp_path, *(f"{name} {key.public}" for name, key in keys.items()))
    for number, name in enumerate(names, 1):
        said = subprocess.run(
            ["ssh-keygen", "-F", name, "-f", tmp_path / "known_hosts"], check=True, capture_output=True, text=True
        )
        assert f"line {number} " in said.stdout
        assert _found(known, name) == [str(number)]
