"""repoctl.toml: where it is looked for, what it may say, and that config/repoctl.toml shows every setting."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from repod.client.places import Base
from repod.client.settings import Settings, load, parse
from repod.errors import Misconfigured

_SAMPLE = Path(__file__).parents[2] / "config" / "repoctl.toml"
_BASE = Base(folder=Path("/base"), home=Path("/home/me"))


def _section(annotation: Any) -> type[BaseModel] | None:
    """The table that a setting is, if it is one; or those whose names are free."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    free = get_origin(annotation) is Mapping
    return next(filter(None, map(_section, get_args(annotation))), None) if free else None


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = _section(field.annotation)
        key = field.alias or name
        if inner is None:
            yield prefix + key, field
        else:
            yield from _fields(inner, f"{prefix}{key}.")


def _without_free_names(table: str) -> str:
    """``group.web.ssh`` as ``group.ssh``."""
    model: type[BaseModel] | None = Settings
    kept = []
    free = False
    for part in table.split("."):
        if free:
            free = False
            continue
        kept.append(part)
        assert model is not None, table
        named = {field.alias or name: field for name, field in model.model_fields.items()}
        annotation = named[part].annotation
        free = get_origin(annotation) is Mapping
        model = _section(annotation)
    return ".".join(kept) + "."


def _lines() -> list[tuple[str, str, str]]:
    """Each setting of the sample: ``table.key``, its value as TOML, what is said of it."""
    table, found = "", []
    for line in _SAMPLE.read_text().splitlines():
        if head := re.fullmatch(r"#?\[([a-z0-9_.-]+)\]", line):
            table = _without_free_names(head[1])
        elif setting := re.fullmatch(r"#([a-z0-9_]+) = (\S.*?)(?:\s+# (.+))?", line):
            found.append((table + setting[1], setting[2], setting[3] or ""))
    return found


def _load(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    path = tmp_path / "repoctl.toml"
    path.write_text(text)
    return load(path, {"HOME": "/home/me", **(environ or {})})


def _faults(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        parse(tomllib.loads(text), _BASE)
    return list(caught.value.faults)


def test_the_sample_shows_every_setting_once_and_nothing_else() -> None:
    assert sorted(name for name, _, _ in _lines()) == sorted(name for name, _ in _fields(Settings))


def test_the_sample_says_something_of_every_setting() -> None:
    assert [name for name, _, text in _lines() if not text] == []


def test_the_values_of_the_sample_are_the_defaults() -> None:
    shown = {name: tomllib.loads(f"v = {value}")["v"] for name, value, _ in _lines()}
    for name, field in _fields(Settings):
        if field.default is None:
            assert shown[name] in ("", [], {}), name
            continue
        kind = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        made = TypeAdapter(kind).validate_python(shown[name])
        default = field.get_default(call_default_factory=True)
        assert (list(made) if isinstance(made, tuple | list) else made) == (
            list(default) if isinstance(default, tuple | list) else default
        ), name


def test_the_sample_is_read_and_changes_nothing() -> None:
    told = load(_SAMPLE, {"HOME": "/home/me"})
    assert told.model_dump() == parse({}, _BASE).model_dump()


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(None, {"HOME": str(tmp_path)})
    assert found.server.url == "http://127.0.0.1:8470"
    assert found.state_dir == f"{tmp_path}/.local/state/repoctl"
    assert found.folder == tmp_path


def test_a_file_is_looked_for_where_one_works_then_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    config = home / ".config" / "repoctl"
    config.mkdir(parents=True)
    here.mkdir()
    monkeypatch.chdir(here)
    environ = {"HOME": str(home)}
    places = [(here, "https://here"), (config, "https://home")]
    for folder, url in places:
        (folder / "repoctl.toml").write_text(f'[server]\nurl = "{url}"')
    assert load(None, environ).server.url == "https://here"
    (here / "repoctl.toml").unlink()
    assert load(None, environ).server.url == "https://home"
    other = tmp_path / "other"
    (other / "repoctl").mkdir(parents=True)
    (other / "repoctl" / "repoctl.toml").write_text('[server]\nurl = "https://xdg"')
    assert load(None, environ | {"XDG_CONFIG_HOME": str(other)}).server.url == "https://xdg"
    named = environ | {"REPOCTL_CONFIG": str(config / "repoctl.toml"), "XDG_CONFIG_HOME": str(other)}
    assert load(None, named).server.url == "https://home"


def test_a_file_that_nobody_named_is_one_that_others_cannot_have_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "repoctl.toml"
    path.write_text('[server]\nurl = "https://here"')
    path.chmod(0o646)
    with pytest.raises(Misconfigured, match=r"may be written by anybody \(mode 0646\): run chmod o-w"):
        load(None, {})
    assert load(path, {}).server.url == "https://here"
    path.chmod(0o644)
    os.chown(path, 12345, -1)
    with pytest.raises(Misconfigured, match=r"belongs to uid 12345: expected a file of yours \(uid 0\)"):
        load(None, {})
    assert load(None, {"REPOCTL_CONFIG": "repoctl.toml"}).server.url == "https://here"


def test_a_file_that_is_named_and_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.toml cannot be read .*; name another with --config"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(Misconfigured, match=r"none\.toml cannot be read"):
        load(None, {"REPOCTL_CONFIG": str(tmp_path / "none.toml")})


def test_the_url_of_the_environment_stands_before_that_of_the_file(tmp_path: Path) -> None:
    found = _load(tmp_path, '[server]\nurl = "https://a"\ntimeout = "5s"', {"REPOCTL_URL": "https://b:8470/"})
    assert (found.server.url, found.server.timeout) == ("https://b:8470", 5.0)
    with pytest.raises(Misconfigured, match="REPOCTL_URL: expected the URL of the daemon"):
        _load(tmp_path, "", {"REPOCTL_URL": "b:8470"})


@pytest.mark.parametrize("url", ["", "host", "ftp://host", "https://", "https://host:port", "https://host?a=b"])
def test_a_server_that_is_no_url_is_told_what_was_expected(url: str) -> None:
    (fault,) = _faults(f'[server]\nurl = "{url}"')
    assert "server.url: expected the URL of the daemon, as https://HOST" in fault


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    (fault,) = _faults('[server]\nurl = "https://me:hunter2@host"')
    assert "take them out" in fault
    assert "hunter2" not in fault


def test_relative_places_are_joined_to_the_folder_of_the_file_and_home_is_known(tmp_path: Path) -> None:
    found = _load(
        tmp_path,
        'state_dir = "state"\n[server]\ntoken_file = "~/token"\nca = "ca.pem"\n'
        '[repository.a]\ninbox = "in"\n[repository.b]\ninbox = "s3://bucket/in/"\n',
    )
    assert found.state_dir == str(tmp_path / "state")
    assert (found.server.token_file, found.server.ca) == ("/home/me/token", str(tmp_path / "ca.pem"))
    assert [one.inbox for one in found.repository.values()] == [str(tmp_path / "in"), "s3://bucket/in/"]
    assert found.folder == tmp_path


def test_all_faults_are_listed_at_once_each_with_its_key() -> None:
    faults = _faults(
        'folder = "/x"\n[server]\ntoken = "secret"\ntimeout = "soon"\n[repository.a]\nkeys = ["short"]\n'
        '[repository."a b"]\n[group.web]\ncolour = 1'
    )
    assert [fault.partition(": ")[2].partition(":")[0] for fault in faults] == [
        "server.timeout",
        "server.token",
        "repository.a.keys.0",
        "repository.a b.[key]",
        "group.web.colour",
        "folder",
    ]
    assert "secret" not in str(faults)
    assert (
        faults[-1] == "repoctl.toml: folder: is not a setting of repoctl; see config/repoctl.toml for those there are"
    )


def test_text_that_is_not_toml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"repoctl\.toml: not TOML: .* \(at line 1, column 5\)"):
        _load(tmp_path, "a = \n")


def test_a_token_has_one_place() -> None:
    (fault,) = _faults('[server]\ntoken_file = "a"\nkeyring = "b"')
    assert "expected token_file or keyring, found both" in fault


def test_a_group_that_is_not_there_names_those_that_are() -> None:
    settings = parse({"group": {"web": {}, "db": {}}}, _BASE)
    with pytest.raises(Misconfigured, match="group 'app' is not in the settings; there are: web, db"):
        settings.grouped("app")
    with pytest.raises(Misconfigured, match=r"there is no group at all; groups stand in repoctl\.toml: here, in "):
        parse({}, _BASE).grouped("app")


def test_a_file_that_is_named_and_not_there_is_told_in_one_go(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"gone\.toml cannot be read \(No such file or directory\); name another"):
        load(tmp_path / "gone.toml", {})
