"""Where the token comes from, where it is kept, and that nothing shows it."""

import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import pytest

from repod.client.settings import Server, load
from repod.client.tokens import Token, check_token, find_token, forget, keep, place
from repod.errors import Misconfigured

_TOKEN = "repod_0123456789abcdefSECRET"


class _Ring(keyring.backend.KeyringBackend):
    """A keyring in memory, by the door that keyring has for others."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def ring() -> Iterator[_Ring]:
    before, made = keyring.get_keyring(), _Ring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def _file(tmp_path: Path, text: str = _TOKEN + "\n", mode: int = 0o600) -> Path:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_stands_before_the_settings(tmp_path: Path) -> None:
    server = Server(token_file=str(_file(tmp_path, "of-settings")))
    other = tmp_path / "other"
    other.write_text("of-file")
    other.chmod(0o400)
    named = {"REPOCTL_TOKEN_FILE": str(other)}
    assert find_token(server, named | {"REPOCTL_TOKEN": "of-env"}) == Token(text="of-env", source="REPOCTL_TOKEN")
    assert find_token(server, named) == Token(text="of-file", source=str(other))
    assert find_token(server, {}) == Token(text="of-settings", source=server.token_file)
    assert find_token(Server(), {}) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_file_that_others_may_open_is_refused_and_the_remedy_said(tmp_path: Path, mode: int) -> None:
    path = _file(tmp_path, mode=mode)
    with pytest.raises(Misconfigured, match=rf"is open to others \(mode {mode:04o}\); .*chmod 600 {path}"):
        find_token(Server(token_file=str(path)), {})


def test_a_file_that_is_not_there_leads_to_login(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"cannot be read .*; write one with: repoctl login"):
        find_token(Server(token_file=str(tmp_path / "none")), {})


@pytest.mark.parametrize("text", ["", "\n", "two words", "one\ntwo", "caf\u00e9", "a\x00b", "x" * 5000])
def test_what_can_be_no_token_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"expected a token, a single word") as caught:
        check_token(text, "there")
    assert len(text) < 3 or text not in str(caught.value)


def test_nothing_shows_a_token() -> None:
    assert _TOKEN not in repr(Token(text=_TOKEN, source="there"))
    assert _TOKEN not in str(Token(text=_TOKEN, source="there"))


def test_a_token_is_kept_in_a_file_for_its_owner_alone_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "token"
    server = Server(token_file=str(path))
    keep(server, _TOKEN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["token"]
    found = find_token(server, {})
    assert found is not None
    assert found.text == _TOKEN
    assert (forget(server), forget(server)) == (True, False)
    assert list(path.parent.iterdir()) == []


def test_a_file_that_was_open_to_others_is_not_so_any_more_once_a_token_is_kept(tmp_path: Path) -> None:
    path = _file(tmp_path, mode=0o644)
    keep(Server(token_file=str(path)), "other")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "other\n"


def test_a_token_is_kept_in_the_keyring_under_the_daemons_host_and_forgotten(ring: _Ring) -> None:
    server = Server(url="https://repod.example.com:8470", keyring="repoctl")
    with pytest.raises(Misconfigured, match="there is no token; put one there with: repoctl login"):
        find_token(server, {})
    keep(server, _TOKEN)
    assert ring.kept == {("repoctl", "repod.example.com:8470"): _TOKEN}
    found = find_token(server, {})
    assert found == Token(text=_TOKEN, source="keyring repoctl, user repod.example.com:8470")
    assert (forget(server), forget(server)) == (True, False)


def test_a_machine_without_a_keyring_is_told_of_the_file() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    try:
        with pytest.raises(Misconfigured, match=r"this machine has no keyring; name a file instead"):
            find_token(Server(keyring="repoctl"), {})
    finally:
        keyring.set_keyring(before)


def test_without_a_place_it_is_said_how_to_name_one() -> None:
    with pytest.raises(Misconfigured, match=r"no place for a token .*\[server\] token_file"):
        place(Server())


def _stray(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    """A settings file that counts only as it lies where repoctl runs."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    path = folder / "repoctl.toml"
    path.write_text(f"[server]\n{text}\n")
    return path


_GOAL = 'url = "https://stranger"'


def test_a_file_that_nobody_named_does_not_say_where_a_token_of_the_environment_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _stray(tmp_path / "checkout", monkeypatch, _GOAL)
    token = {"REPOCTL_TOKEN": _TOKEN}
    expected = r"token of REPOCTL_TOKEN is not sent: .*repoctl\.toml.* says to send it to https://stranger; .*--config"
    for given in (token, {"REPOCTL_TOKEN_FILE": str(_file(tmp_path))}):
        with pytest.raises(Misconfigured, match=r"not sent: .*https://stranger") as caught:
            find_token(load(None, given).server, given)
        assert _TOKEN not in str(caught.value)
    with pytest.raises(Misconfigured, match=expected):
        find_token(load(None, token).server, token)
    for named in ({"REPOCTL_CONFIG": "repoctl.toml"}, {"REPOCTL_URL": "https://mine"}):
        assert find_token(load(None, named).server, token) == Token(text=_TOKEN, source="REPOCTL_TOKEN")
    assert find_token(load(path, {}).server, token) is not None


def test_a_file_that_nobody_named_and_that_names_no_daemon_is_no_danger_to_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stray(tmp_path, monkeypatch, 'timeout = "5s"')
    assert find_token(load(None, {}).server, {"REPOCTL_TOKEN": _TOKEN}) is not None


def test_a_file_that_nobody_named_uses_token_files_of_its_own_folder_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, checkout = _file(tmp_path), tmp_path / "checkout"
    _stray(checkout, monkeypatch, f'{_GOAL}\ntoken_file = "{mine}"')
    with pytest.raises(Misconfigured, match="not sent"):
        find_token(load(None, {}).server, {})
    _stray(checkout, monkeypatch, f'{_GOAL}\ntoken_file = "own"')
    (checkout / "own").symlink_to(mine)
    with pytest.raises(Misconfigured, match="not sent"):
        find_token(load(None, {}).server, {})
    (checkout / "own").unlink()
    _file(checkout).rename(checkout / "own")
    assert find_token(load(None, {}).server, {}) is not None


def test_a_file_that_nobody_named_does_not_say_whose_certificates_are_trusted_with_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ring: _Ring
) -> None:
    ring.kept["repoctl", "daemon"] = _TOKEN
    _stray(tmp_path, monkeypatch, 'ca = "ca.pem"\nkeyring = "repoctl"')
    environ = {"REPOCTL_URL": "https://daemon"}
    with pytest.raises(Misconfigured, match="says whose certificates to trust"):
        find_token(load(None, environ).server, environ)
    _stray(tmp_path, monkeypatch, 'url = "https://daemon"\nkeyring = "repoctl"')
    assert find_token(load(None, {}).server, {}) is not None
