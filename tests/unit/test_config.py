"""The settings: what a file may say, what is said of a wrong one, and that config/repod.toml shows them all."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from repod.config import Repository, Settings, load, parse, rejected_place
from repod.errors import Misconfigured
from repod.happenings import Kind
from repod.hooking import Hook
from repod.profiles import PROFILES
from repod.values import fingerprint

_SAMPLE = Path(__file__).parents[2] / "config" / "repod.toml"
_BASE = Path("/base")
_FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
_REQUIRED = {
    "signing.key": "credential:signing-key",
    "repository.name": "el9-prod",
    "repository.inbox": "/srv/repod/inbox/el9-prod",
    "repository.store": "/srv/repod/www/el9-prod",
}


def _file(*, top: str = "", signing: str = "", repository: str = "", more: str = "") -> str:
    """The smallest settings file, with lines put in; each of its own keys gives way to one of the same name."""
    tables = [
        ("", {}, top),
        ("[signing]", {"key": '"key.asc"'}, signing),
        ("[[repository]]", {"name": '"a"', "inbox": '"inbox/a"', "store": '"www/a"'}, repository),
    ]
    lines = []
    for head, own, given in tables:
        names = {line.partition("=")[0].strip() for line in given.splitlines()}
        lines += [head, *(f"{key} = {value}" for key, value in own.items() if key not in names), given]
    return "\n".join([*lines, more])


def _parse(text: str) -> Settings:
    return parse(text, _BASE)


def _faults(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        _parse(text)
    assert caught.value.exit_code == 2
    assert str(caught.value).splitlines() == list(caught.value.faults)
    return list(caught.value.faults)


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting as ``table.key`` in the order of the model; a table is none itself."""
    for name, field in model.model_fields.items():
        inner = _section(field.annotation)
        if inner is None or name == "buckets":  # its tables have free names
            yield prefix + (field.alias or name), field
    for name, field in model.model_fields.items():
        inner = _section(field.annotation)
        if inner is not None and name != "buckets":
            yield from _fields(inner, f"{prefix}{name}.")


def _section(annotation: Any) -> type[BaseModel] | None:
    for each in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def _sample_lines() -> list[tuple[str, bool, str]]:
    """The settings of the sample in order: ``table.key``, whether it is commented out, what is said of it."""
    table, found = "", []
    for line in _SAMPLE.read_text().splitlines():
        if head := re.fullmatch(r"#?\[+([a-z0-9.]+)\]+", line):
            table = head[1] + "."
        elif setting := re.fullmatch(r"(#?)([a-z_]+) = \S.*?(?:\s+# (.+))?", line):
            found.append((table + setting[2], setting[1] == "#", setting[3] or ""))
    return found


def _sample_in_full() -> str:
    """Without hooks: each has to be reached somehow, so that none consists of defaults."""
    return _uncommented(_SAMPLE.read_text().partition("#[[hook]]")[0])


def _uncommented(text: str) -> str:
    return re.sub(r"(?m)^#(?=[a-z_]+ = )", "", text)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by ``table.key``; the sample has one repository."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        inner = value[0] if name == "repository" else value
        flat |= (
            _flat(inner, f"{prefix}{name}.")
            if isinstance(inner, dict) and name != "buckets"
            else {prefix + name: value}
        )
    return flat


def test_the_sample_shows_every_setting_once_in_the_order_of_the_model_and_nothing_else() -> None:
    assert [name for name, _, _ in _sample_lines()] == [name for name, _ in _fields(Settings)]


def test_the_sample_says_something_of_every_setting() -> None:
    assert [name for name, _, text in _sample_lines() if not text] == []


def test_the_sample_comments_out_what_has_a_default_and_gives_an_example_of_what_has_none() -> None:
    optional = {name: not field.is_required() or name == "hook.name" for name, field in _fields(Settings)}
    assert {name: commented for name, commented, _ in _sample_lines()} == optional
    active = _flat(tomllib.loads(_SAMPLE.read_text()))
    assert active == _REQUIRED


def test_the_commented_values_of_the_sample_are_the_defaults() -> None:
    shown = parse(_sample_in_full(), _BASE)
    assert shown.model_dump(mode="json") == load(_SAMPLE).model_dump(mode="json")
    names = {name for name, _ in _fields(Settings) if not name.startswith("hook.")}
    assert set(_flat(tomllib.loads(_sample_in_full()))) == names


def test_the_commented_values_of_the_hook_in_the_sample_are_the_defaults() -> None:
    shown = tomllib.loads(_uncommented(_SAMPLE.read_text().partition("#[[hook]]")[2]))
    hook = Hook.model_validate(shown | {"url": "https://ci.example.com/"})
    assert hook.model_dump(mode="json") == Hook(name="ci", url=hook.url).model_dump(mode="json")


def test_the_smallest_file_names_a_key_and_one_repository() -> None:
    settings = _parse(_file())
    assert settings.signing.key == "/base/key.asc"
    assert [r.name for r in settings.repository] == ["a"]
    assert settings.http.listen == "127.0.0.1:8470"


def test_relative_places_are_joined_to_the_folder_of_the_file() -> None:
    settings = _parse(
        _file(
            top='state_dir = "state"',
            signing='passphrase_file = "pass"\ngnupghome = "gnupg"\npublic_key = "key.pub"',
            more='[repository.acceptance]\nkeys = "trusted.asc"',
        )
    )
    repository = settings.repository[0]
    assert settings.state_dir == "/base/state"
    signing = settings.signing
    assert (signing.key, signing.passphrase_file) == ("/base/key.asc", "/base/pass")
    assert (signing.gnupghome, signing.public_key) == ("/base/gnupg", "/base/key.pub")
    assert (repository.inbox, repository.store) == ("/base/inbox/a", "/base/www/a")
    assert repository.acceptance.keys == "/base/trusted.asc"


def test_a_place_with_a_colon_in_it_is_a_relative_place_too() -> None:
    assert _parse(_file(repository='inbox = "a:b/c"')).repository[0].inbox == "/base/a:b/c"


def test_absolute_places_and_empty_ones_stay_as_they_are() -> None:
    settings = _parse(_file(repository='inbox = "/srv/in"\nstore = "/srv/www"', signing='key = "/etc/key"'))
    assert (settings.repository[0].inbox, settings.repository[0].store) == ("/srv/in", "/srv/www")
    assert settings.signing.key == "/etc/key"
    assert settings.signing.passphrase_file == ""


@pytest.mark.parametrize("key", ["credential:signing-key", "command:/usr/bin/sign-it --now", f"gpg:{_FINGERPRINT}"])
def test_a_key_that_is_no_file_is_not_joined_to_a_folder(key: str) -> None:
    assert _parse(_file(signing=f'key = "{key}"')).signing.key == key


def test_a_file_is_loaded_relative_to_its_own_folder(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(_file())
    assert load(path).repository[0].inbox == str(tmp_path / "inbox/a")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.toml cannot be read \(No such file or directory\); name it"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'state_dir = "\xe9"')
    with pytest.raises(Misconfigured, match=r"latin\.toml is not UTF-8: byte 0xe9 at line 1; save it as UTF-8"):
        load(path)


def test_text_that_is_not_toml_is_named_with_its_line() -> None:
    assert _faults("a = 1\nb = \n") == ["repod.toml: not TOML: Invalid value (at line 2, column 5)"]


def test_all_faults_are_listed_at_once_each_with_its_key_what_was_expected_and_what_was_found() -> None:
    faults = _faults(
        _file(
            signing='timeout = "soon"',
            repository="arches = []",
            more='[http]\nlisten = "8470"\n[workers]\ncount = -1\n[log]\nlevel = "loud"',
        )
    )
    assert faults == [
        "repod.toml: http.listen: expected HOST:PORT, found '8470'",
        "repod.toml: log.level: input should be 'debug', 'info', 'warning' or 'error', found 'loud'",
        "repod.toml: signing.timeout: expected a duration such as '500ms', '30s', '10m', '3d', found 'soon'",
        "repod.toml: workers.count: input should be greater than or equal to 0, found -1",
        "repod.toml: repository 'a'.arches: value should have at least 1 item after validation, not 0, found []",
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (_file(top="colour = 1"), "colour"),
        (_file(signing='keyy = "x"'), "signing.keyy"),
        (_file(more="[repository.pruning]\nkeep = 5"), "repository 'a'.pruning"),
        (_file(more="[repository.acceptance]\nname = 5"), "repository 'a'.acceptance.name"),
    ],
)
def test_a_key_that_is_no_setting_is_named(text: str, key: str) -> None:
    assert _faults(text) == [f"repod.toml: {key}: is not a setting of repod; see config/repod.toml for those there are"]


def test_what_is_missing_is_named() -> None:
    assert _faults("") == [
        "repod.toml: signing: is required and missing",
        "repod.toml: repository: is required and missing",
    ]
    assert _faults("[signing]\n[[repository]]\nname = 'a'\n[[repository]]\n") == [
        "repod.toml: signing.key: is required and missing",
        "repod.toml: repository 'a'.inbox: is required and missing",
        "repod.toml: repository 'a'.store: is required and missing",
        "repod.toml: repository number 2.name: is required and missing",
        "repod.toml: repository number 2.inbox: is required and missing",
        "repod.toml: repository number 2.store: is required and missing",
    ]


def test_a_file_without_a_repository_is_refused() -> None:
    assert "at least 1 item" in _faults("repository = []\n[signing]\nkey = 'k'")[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("signing = 1\nrepository = [1]", "signing: expected a table of settings, found 1"),
        ("signing = 1\nrepository = [1]", "repository number 1: expected a table of settings, found 1"),
        ("[signing]\nkey = 'k'\n[repository]\nname = 'a'", "repository: expected a list, as [[...]] tables"),
        (_file(repository='arches = "noarch"'), 'arches: expected a list such as ["one", "two"], found \'noarch\''),
    ],
)
def test_a_value_of_another_kind_is_told_what_was_expected(text: str, fault: str) -> None:
    assert any(fault in line for line in _faults(text))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [('"500ms"', 0.5), ('"30s"', 30), ('"1.5m"', 90), ('"2h"', 7200), ('"3d"', 259200), ('"1w"', 604800), ("7", 7)],
)
def test_durations_are_in_seconds_whatever_unit_they_were_written_in(written: str, seconds: float) -> None:
    assert _parse(_file(signing=f"timeout = {written}")).signing.timeout == seconds


@pytest.mark.parametrize("written", ['"30"', '"-1s"', '"1 month"', '""', "-1", "inf", "nan", '"99w"', "[1]"])
def test_a_duration_without_a_unit_or_out_of_all_reason_is_refused(written: str) -> None:
    (fault,) = _faults(_file(signing=f"timeout = {written}"))
    assert fault.startswith("repod.toml: signing.timeout: ")


@pytest.mark.parametrize(
    ("written", "size"),
    [('"512MiB"', 512 << 20), ('"2 GiB"', 2 << 30), ('"1TiB"', 1 << 40), ('"4KiB"', 4096), ("9", 9)],
)
def test_sizes_are_in_bytes_whatever_unit_they_were_written_in(written: str, size: int) -> None:
    assert _parse(_file(more=f"[workers]\nmemory = {written}")).workers.memory == size


@pytest.mark.parametrize("written", ['"2GB"', '"2g"', '"-1"', '"1.5GiB"', "-1", "1.5"])
def test_a_size_that_could_be_read_in_two_ways_is_refused(written: str) -> None:
    (fault,) = _faults(_file(more=f"[workers]\nmemory = {written}"))
    assert fault.startswith("repod.toml: workers.memory: ")


def test_a_scan_interval_that_would_keep_a_core_busy_is_refused() -> None:
    (fault,) = _faults(_file(more='[inbox]\nscan_interval = "10ms"'))
    assert "scan_interval: input should be greater than or equal to 0.05" in fault


def test_a_fingerprint_may_be_written_as_gpg_prints_it() -> None:
    assert fingerprint("0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567") == _FINGERPRINT
    assert fingerprint("ab" * 32) == "AB" * 32


@pytest.mark.parametrize(
    "short", ["01234567", "0x01234567", "0123456789ABCDEF", _FINGERPRINT[:-1], "me@example.com", ""]
)
def test_a_short_key_id_or_a_user_id_is_refused_wherever_a_key_is_named(short: str) -> None:
    text = _file(signing=f'key = "gpg:{short}"', more=f'[repository.acceptance]\nsigned_by = ["{short}"]')
    what = f"expected a full fingerprint (40 hexadecimal digits), found {short!r}; short ids can be forged"
    assert _faults(text) == [
        f"repod.toml: signing.key: {what}",
        f"repod.toml: repository 'a'.acceptance.signed_by.0: {what}",
    ]


def test_a_key_in_aws_kms_is_refused_with_what_there_is_instead() -> None:
    (fault,) = _faults(_file(signing='key = "aws-kms:arn:aws:kms:eu-west-1:1:key/2"'))
    assert "aws-kms: keys are not supported by this version; use a key file, gpg: or command:" in fault


@pytest.mark.parametrize("key", ["inbox", "store"])
@pytest.mark.parametrize("given", ["s3://bucket/a", "s3://bucket/a/"])
def test_a_prefix_of_a_bucket_is_a_place_and_ends_with_a_slash(key: str, given: str) -> None:
    settings = _parse(_file(repository=f'{key} = "{given}"'))
    assert getattr(settings.repository[0], key) == "s3://bucket/a/"


@pytest.mark.parametrize(
    "given", ["s3://", "s3://b/a", "s3://bucket", "s3://bucket/../a/", "s3://bucket/a//b/", "gs://bucket/a/"]
)
def test_what_is_neither_a_directory_nor_a_prefix_of_a_bucket_is_refused(given: str) -> None:
    (fault,) = _faults(_file(repository=f'store = "{given}"'))
    assert "expected a directory or s3://BUCKET/PREFIX/" in fault
    assert given in fault


def test_what_is_said_of_one_bucket_stands_before_what_is_said_of_all() -> None:
    more = '[s3]\nregion = "eu-west-1"\nattempts = 9\n[s3.buckets.other]\nregion = "us-east-1"'
    s3 = _parse(_file(more=more)).s3
    assert (s3.of("bucket").region, s3.of("other").region) == ("eu-west-1", "us-east-1")
    assert s3.of("other").attempts == 9


def test_a_queue_beside_an_inbox_directory_is_refused() -> None:
    (fault,) = _faults(_file(repository='queue = "https://sqs.eu-west-1.amazonaws.com/1/arrivals"'))
    assert "repository 'a'.queue: expected an inbox s3://BUCKET/PREFIX/ beside it" in fault


def test_places_in_buckets_may_not_lie_in_one_another() -> None:
    places = 'inbox = "s3://bucket/a/inbox/"\nstore = "s3://bucket/a/"'
    (fault,) = _faults(_file(repository=places))
    assert "the inbox of a (s3:/bucket/a/inbox) lies in the store of a" in fault


@pytest.mark.parametrize(
    "text", [_file(top='state_dir = ""'), _file(repository='inbox = ""'), _file(repository='store = ""')]
)
def test_an_empty_place_is_refused_and_never_means_the_working_folder(text: str) -> None:
    (fault,) = _faults(text)
    assert fault.endswith(": expected a directory, found an empty text")


@pytest.mark.parametrize("name", ["", "-a", ".a", "a/b", "a b", "a:b", "ä", "a\\n", "x" * 101])
def test_a_name_that_could_not_stand_in_a_path_or_a_url_is_refused(name: str) -> None:
    (fault,) = _faults(_file(repository=f'name = "{name}"'))
    assert ".name: string should " in fault


def test_a_name_that_package_managers_take_for_their_own_settings_is_refused() -> None:
    (fault,) = _faults(_file(repository='name = "main"'))
    assert "expected another name than 'main'" in fault


@pytest.mark.parametrize("listen", ["8470", ":8470", "localhost", "localhost:", "localhost:http", "a:65536", "a:²"])
def test_an_address_without_host_or_port_is_refused(listen: str) -> None:
    (fault,) = _faults(_file(more=f'[http]\nlisten = "{listen}"'))
    assert fault == f"repod.toml: http.listen: expected HOST:PORT, found {listen!r}"


def test_an_address_is_taken_apart_into_host_and_port() -> None:
    http = _parse(_file(more='[http]\nlisten = "[::1]:0"')).http
    assert (http.host, http.port) == ("::1", 0)
    assert http.at(8080).listen == "[::1]:8080"


def _two(first: str, second: str) -> str:
    return _file(repository=first, more=f"[[repository]]\n{second}")


def test_two_repositories_of_one_name_are_refused() -> None:
    (fault,) = _faults(_two("", 'name = "a"\ninbox = "in/2"\nstore = "www/2"'))
    assert fault == "repod.toml: repository.name: 'a' is given to 2 repositories; expected one each"


@pytest.mark.parametrize(
    ("text", "inner", "outer"),
    [
        (_file(repository='inbox = "www/a/in"'), "inbox of a", "store of a"),
        (_file(repository='store = "inbox/a/www"'), "store of a", "inbox of a"),
        (_file(repository='store = "www/../inbox/a/www"'), "store of a", "inbox of a"),
        (_file(top='state_dir = "www/a/.state"'), "state_dir", "store of a"),
        (_file(top='state_dir = "www"'), "store of a", "state_dir"),
        (_two("", 'name = "b"\ninbox = "in/b"\nstore = "www/a/b"'), "store of b", "store of a"),
        (_two("", 'name = "b"\ninbox = "in/b"\nstore = "/base/www/a"'), "store of a", "store of b"),
    ],
)
def test_a_place_inside_another_is_refused(text: str, inner: str, outer: str) -> None:
    faults = _faults(text)
    assert any(f"the {inner} (" in fault and f"lies in the {outer} (" in fault for fault in faults), faults


@pytest.mark.parametrize("name", ["prod", "a"])
def test_a_repository_that_needs_builds_must_be_another_one_of_the_settings(name: str) -> None:
    (fault,) = _faults(_file(more=f'[repository.retention]\nneeded_by = ["{name}"]'))
    expected = f"expected another repository, found {name!r}; there are: a"
    assert fault == f"repod.toml: repository 'a'.retention.needed_by: {expected}"


@pytest.mark.parametrize("line", ["golang", "golang 1.24.*", "= 1.24.*", "golang =", "go lang = 1", ""])
def test_a_line_of_builds_is_a_name_and_a_version(line: str) -> None:
    (fault,) = _faults(_file(more=f'[repository.retention]\nlines = ["{line}"]'))
    assert f"expected shell patterns of a name and a version, such as 'golang = 1.24.*', found {line!r}" in fault


def test_the_folder_of_host_reports_is_relative_to_the_file_and_empty_means_none() -> None:
    assert _parse(_file(more='[repository.retention]\nhosts = "seen"')).repository[0].retention.hosts == "/base/seen"
    assert _parse(_file(more='[repository.retention]\nhosts = ""')).repository[0].retention.hosts == ""


def test_places_whose_names_only_begin_alike_are_apart() -> None:
    assert _parse(_two('store = "www/a"', 'name = "b"\ninbox = "inbox/a2"\nstore = "www/a2"'))


@pytest.mark.parametrize(
    "text",
    [
        _file(repository='store = "inbox/rejected"'),
        _file(repository='store = "inbox/rejected/www"'),
        _file(repository='inbox = "rejected"'),
        _two("", 'name = "b"\ninbox = "inbox/rejected"\nstore = "www/b"'),
    ],
)
def test_a_place_where_rejected_packages_go_is_refused(text: str) -> None:
    faults = _faults(text)
    assert any("rejected, where rejected packages go; move one" in fault for fault in faults), faults


def test_refused_packages_go_beside_the_inbox() -> None:
    assert rejected_place("/srv/inbox/a") == "/srv/inbox/rejected"
    assert rejected_place("s3://ci-inbox/a/") == "s3://ci-inbox/a/rejected/"


def test_overlaps_are_all_listed_at_once() -> None:
    text = _two('inbox = "x/in"', 'name = "a"\ninbox = "y/in"\nstore = "x/in/www"')
    faults = _faults(text)
    assert len(faults) == 2
    assert "given to 2 repositories" in faults[0]
    assert "lies in the inbox of a" in faults[1]


def test_a_repository_that_is_not_there_is_answered_with_those_there_are() -> None:
    settings = _parse(_two("", 'name = "b"\ninbox = "in/b"\nstore = "www/b"'))
    assert settings.named("b").inbox == "/base/in/b"
    with pytest.raises(Misconfigured, match="repository 'c' is not in the settings; there are: a, b"):
        settings.named("c")


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    settings = _parse(_file())
    with pytest.raises(ValueError, match="frozen"):
        settings.http = settings.http.at(1)


@pytest.mark.parametrize("profile", ["el7", "amzn2"])
def test_a_compression_that_the_hosts_of_the_profile_cannot_read_is_refused_with_the_reason(profile: str) -> None:
    (fault,) = _faults(_file(repository=f'compression = "zstd"\nprofile = "{profile}"'))
    assert fault.startswith("repod.toml: repository 'a'.compression: ")
    assert fault.endswith(f'profile {profile} cannot read zstd metadata: yum stops at it; use "gz"')


@pytest.mark.parametrize("profile", ["el8", "el9", "el10", "fedora", "sles15"])
def test_zstd_is_taken_where_hosts_read_it_and_gzip_everywhere(profile: str) -> None:
    chosen = _parse(_file(repository=f'compression = "zstd"\nprofile = "{profile}"\nsingle_stream = true'))
    assert (chosen.repository[0].compression, chosen.repository[0].single_stream) == ("zstd", True)
    plain = _parse(_file(repository=f'profile = "{profile}"')).repository[0]
    assert (plain.compression, plain.single_stream) == ("gz", False)


def test_a_profile_that_there_is_not_is_the_one_fault_whatever_the_compression() -> None:
    (fault,) = _faults(_file(repository='compression = "zstd"\nprofile = "el6"'))
    assert "repository 'a'.profile: input should be 'el7', 'el8'" in fault


def test_every_profile_of_the_table_can_be_chosen_and_no_other() -> None:
    choices = Repository.model_fields["profile"].annotation
    assert sorted(get_args(choices)) == sorted(PROFILES)


def test_bases_are_names_of_repositories_urls_or_places_relative_to_the_file() -> None:
    gate = '[repository.promotion]\nfrom = []\nbases = ["a", "base/os", "/abs", "https://example.com/os/"]'
    promotion = _parse(_file(more=gate)).repository[0].promotion
    assert list(promotion.bases) == ["a", "/base/base/os", "/abs", "https://example.com/os/"]


def test_gates_that_name_repositories_that_there_are_not_are_faults() -> None:
    gate = '[repository.promotion]\nfrom = ["b", "a"]\nbases = ["el9-base"]\nmin_age = "soon"'
    assert _faults(_file(more=gate)) == [
        (
            "repod.toml: repository 'a'.promotion.min_age: expected a duration such as '500ms', '30s', '10m', '3d', "
            "found 'soon'"
        )
    ]
    assert _faults(_file(more=gate.replace("soon", "3d"))) == [
        "repod.toml: repository 'a'.promotion.from: 'b' is not in the settings; there are: a",
        "repod.toml: repository 'a'.promotion.from: 'a' is the repository itself; name those that builds come from",
        (
            "repod.toml: repository 'a'.promotion.bases: 'el9-base' is no repository of the settings, no URL and "
            "no path with a slash; there are: a"
        ),
    ]


def _hook(*lines: str) -> str:
    return _file(more="\n".join(["[[hook]]", *lines]))


def test_a_hook_is_reached_one_way_and_hears_what_it_names() -> None:
    settings = _parse(
        _hook('name = "ci"', 'exec = "notify --all"', 'events = ["*.rejected.*"]', 'repositories = ["a*"]')
    )
    (hook,) = settings.hook
    assert (hook.way, hook.target) == ("exec", "notify")
    assert [kind for kind in Kind if hook.wants(kind)] == [Kind.REJECTED]
    assert (hook.hears("a"), hook.hears("b")) == (True, False)


def test_a_hook_hears_of_generations_and_of_what_is_rejected_where_it_does_not_say() -> None:
    (hook,) = _parse(_hook('name = "ci"', 'url = "https://user:pass@ci.example.com:8443/in?key=1"')).hook
    assert [kind for kind in Kind if hook.wants(kind)] == [Kind.PUBLISHED, Kind.MISSED, Kind.REJECTED]
    assert hook.target == "https://ci.example.com:8443/"


def test_the_secret_of_a_hook_is_a_place_relative_to_the_file() -> None:
    (hook,) = _parse(_hook('name = "ci"', 'url = "https://ci/"', 'secret = "ci.secret"')).hook
    assert hook.secret == "/base/ci.secret"
    (hook,) = _parse(_hook('name = "ci"', 'url = "https://ci/"', 'secret = "credential:ci"')).hook
    assert hook.secret == "credential:ci"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['name = "ci"'], "hook 'ci': expected exactly one of url, sns, eventbridge, exec, found none"),
        (
            ['name = "ci"', 'url = "https://ci/"', 'sns = "arn:aws:sns:x:1:t"'],
            "hook 'ci': expected exactly one of url, sns, eventbridge, exec, found url and sns",
        ),
        (['name = "ci"', 'url = "ftp://ci/"'], "hook 'ci': url: expected https://HOST/PATH or http://HOST/PATH, found"),
        (['name = "ci"', 'exec = "x"', 'secret = "s"'], "hook 'ci': secret: is for url alone; take it away"),
        (['name = "ci"', 'sns = "topic"'], "hook 'ci': sns: expected the ARN of a topic"),
        (['name = "ci"', 'exec = "x"', 'events = ["published"]'], "hook 'ci': events: no event is called 'published'"),
        (['name = "ci"', 'exec = "x"', 'repositories = ["b"]'], "hook 'ci'.repositories: no repository is called 'b'"),
        (['name = "../ci"', 'exec = "x"'], "hook '../ci'.name: string should match pattern"),
        (['exec = "x"'], "hook number 1.name: is required and missing"),
        (
            ['name = "ci"', 'exec = "x"', "[[hook]]", 'name = "ci"', 'exec = "y"'],
            "hook.name: 'ci' is given to 2 hooks; expected one each",
        ),
    ],
)
def test_what_is_wrong_with_a_hook_is_said_by_its_name(lines: list[str], said: str) -> None:
    (fault,) = _faults(_hook(*lines))
    assert fault.startswith(f"repod.toml: {said}")
