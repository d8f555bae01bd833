"""`repod-s3` as far as it is pure: names, prefixes, settings; and that it runs on old and bare hosts."""

import ast
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from repod.hosts.faults import Absent, Fault, Malformed, Refused, WrongUse
from repod.hosts.place import Prefix, rewritten, settle
from repod.hosts.serve import Errand
from repod.hosts.settings import Listen, Settings, parse, read

_ROOT = Path(__file__).parents[2]
_HOSTS = _ROOT / "repod" / "hosts"
_OWN = "127.0.0.1:8471"
_ALLOWED = (Prefix("bucket", "p/"), Prefix("whole", ""))


def key(request: str, host: str = _OWN) -> str:
    """The key that a request line settles on."""
    return settle(request, host, _OWN, _ALLOWED).key


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        ("/bucket/p/repodata/repomd.xml", "p/repodata/repomd.xml"),
        ("/bucket/p/libx++-1.0~rc^1.rpm", "p/libx++-1.0~rc^1.rpm"),
        ("/bucket/p/libx%2b%2B-1.0%7erc%5E1.rpm", "p/libx++-1.0~rc^1.rpm"),
        ("/bucket/p/a%20b", "p/a b"),
        ("/bucket/p/%C3%A9", "p/é"),
        ("/bucket/p/\xc3\xa9", "p/é"),
        ("/bucket/p/100%", "p/100%"),
        ("/bucket/p/100%2525", "p/100%25"),
        ("/bucket/p/a%3Fb%23c", "p/a?b#c"),
        ("/bucket/p/x?acl", "p/x"),
        ("/bucket/p/x?versionId=3&b=/../", "p/x"),
        ("/bucket/p/x#y", "p/x"),
        ("/bucket//p//x", "p/x"),
        ("/bucket/p/./x", "p/x"),
        ("/bucket/p/generations/4/../../Packages/x", "p/Packages/x"),
        ("/bucket/p/generations%2F4%2f..%2F%2e%2E/Packages/x", "p/Packages/x"),
        ("/bucket/q/../p/x", "p/x"),
        ("/whole/anything", "anything"),
        ("http://s3.repod.invalid/bucket/p/x", "p/x"),
        ("HTTP://S3.repod.invalid:80/bucket/p/x?y", "p/x"),
    ],
)
def test_a_request_line_names_exactly_one_key(request_: str, wanted: str) -> None:
    assert key(request_) == wanted


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        ("/bucket/q/x", Refused),
        ("/bucket/p/../q/x", Refused),
        ("/bucket/p/%2e%2e/q/x", Refused),
        ("/bucket/p%2F..%2Fq/x", Refused),
        ("/bucket/pp/x", Refused),
        ("/bucket/p", Refused),
        ("/bucket/p/", Refused),
        ("/Bucket/p/x", Refused),
        ("/other/p/x", Refused),
        ("/bucket/p/../../whole/../other/x", Refused),
        ("/bucket/p/.repod/head.json", Refused),
        ("/bucket/p/%2erepod/head.json", Refused),
        ("/whole/deeper/.repod/head.json", Refused),
        ("http://example.com/bucket/p/x", Refused),
        ("https://s3.repod.invalid/bucket/p/x", Refused),
        ("http://s3.repod.invalid@example.com/bucket/p/x", Refused),
        ("/bucket", Absent),
        ("/", Absent),
        ("/../bucket/p/x", Malformed),
        ("/bucket/%2e%2e/%2e%2e/x", Malformed),
        ("/bucket/p/%00", Malformed),
        ("/bucket/p/%0d%0aX: y", Malformed),
        ("/bucket/p/%ff", Malformed),
        ("example.com:443", Malformed),
        ("*", Malformed),
    ],
)
def test_what_is_not_below_a_prefix_is_not_asked_for(request_: str, fault: type[Fault]) -> None:
    with pytest.raises(fault):
        key(request_)


def test_a_host_that_a_page_in_a_browser_would_name_is_refused() -> None:
    with pytest.raises(Refused, match=r"Host: rebound\.example\.com"):
        key("/bucket/p/x", "rebound.example.com:8471")


def test_urls_in_a_mirrorlist_become_those_of_the_way_it_was_asked_for() -> None:
    base = settle("/bucket/p/mirrorlist", "localhost:1", _OWN, _ALLOWED).base
    assert rewritten(b"s3://bucket/a b++/generations/7/\n", base).startswith(b"http://localhost:1/bucket/a ")
    assert rewritten(b"s3://bucket/p++/generations/7/\n", base) == b"http://localhost:1/bucket/p%2B%2B/generations/7/\n"
    through = settle("http://s3.repod.invalid/bucket/p/metalink.xml", "x", _OWN, _ALLOWED)
    assert through.names_places
    document = b'<url protocol="s3" type="s3" preference="100">s3://b/p/repodata/repomd.xml</url>'
    assert rewritten(document, through.base) == (
        b'<url protocol="http" type="http" preference="100">http://s3.repod.invalid/b/p/repodata/repomd.xml</url>'
    )


def test_a_mirrorlist_of_other_urls_stays_as_it_is() -> None:
    document = b'<url type="s3">https://cdn.example.com/generations/7/</url>'
    assert rewritten(document, "http://127.0.0.1:8471/") == document


@pytest.mark.parametrize("text", ["", "bucket/p/", "s3://", "s3://b", "s3://Bucket/", "s3://bucket/../x/", "s3://b*t/"])
def test_a_prefix_that_is_none_is_told(text: str) -> None:
    with pytest.raises(WrongUse, match="expected s3://BUCKET/PREFIX/, found"):
        Prefix.parse(text)


def test_a_prefix_ends_with_a_slash_so_that_its_neighbours_are_not_meant() -> None:
    assert [str(Prefix.parse(text)) for text in ("s3://bucket", "s3://bucket/a", "s3://bucket/a b/")] == [
        "s3://bucket/", "s3://bucket/a/", "s3://bucket/a b/",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0.0.0.0:8471", "[::]:8471", "10.0.0.1:1", "localhost:1", "127.0.0.1", "127.0.0.1:x"])
def test_it_listens_on_loopback_only(text: str) -> None:
    with pytest.raises(WrongUse, match="listen: expected an address of loopback"):
        Listen.parse(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"idle": "10"}, "idle: expected a time such as 10m"),
        ({"allow_users": "nobody-here"}, "allow_users: expected a user of this host"),
        ({"endpoint": "s3.example.com"}, "endpoint: expected a URL"),
        ({"addressing": "dns"}, "addressing: expected one of auto, path, virtual"),
        ({"alow": "x"}, "alow: no such setting; expected one of addressing, allow"),
    ],
)
def test_a_wrong_setting_is_told_with_what_was_expected(values: dict[str, str], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        parse(values)


def test_the_settings_file_shows_every_key_with_its_default(tmp_path: Path) -> None:
    text = (_ROOT / "config" / "repod-s3.conf").read_text()
    assert parse(read(_ROOT / "config" / "repod-s3.conf", required=True)) == Settings()
    shown = tmp_path / "shown.conf"
    shown.write_text(re.sub(r"(?m)^#(\w+ =|    s3://)", r"\1", text))
    values = read(shown, required=True)
    assert list(values) == [field.name for field in fields(Settings)]
    assert parse({**values, "allow": ""}) == Settings()
    assert parse(values).allow == (Prefix("yum-bucket", "el9-prod/"),)


def test_a_settings_file_that_is_wrong_is_told(tmp_path: Path) -> None:
    path = tmp_path / "repod-s3.conf"
    with pytest.raises(WrongUse, match="expected the settings, found no file"):
        read(path, required=True)
    assert read(path, required=False) == {}
    path.write_text("listen = 127.0.0.1:1\n")
    with pytest.raises(WrongUse, match="cannot be read"):
        read(path, required=True)
    path.write_text("[s3]\nlisten = 127.0.0.1:1\n")
    with pytest.raises(WrongUse, match=r"expected one section \[repod-s3\]"):
        read(path, required=True)


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"allow": "s3"}', '{"allow": ["s3://bucket/"], "parent": "x"}'])
def test_a_child_without_a_proper_errand_does_not_start(line: str) -> None:
    with pytest.raises(WrongUse):
        Errand.parse(line)


@pytest.mark.parametrize(
    "path",
    [_ROOT / "repod" / "__init__.py", _ROOT / "repod" / "windows.py", *sorted(_HOSTS.rglob("*.py"))],
    ids=lambda path: str(path.relative_to(_ROOT)),
)
def test_it_is_python_3_9_and_the_plugin_of_dnf_3_6(path: Path) -> None:
    version = (3, 6) if path.name == "dnf_plugin.py" else (3, 9)
    tree = ast.parse(path.read_text(), str(path), feature_version=version)
    later = {"slots", "kw_only", "strict"}  # arguments that Python 3.10 added to dataclass() and zip()
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert {word.arg for node in calls for word in node.keywords} & later == set()
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names}
    assert imported & {"Self", "UTC", "StrEnum", "assert_never"} == set()
    assert (version == (3, 6)) == ("annotations" not in imported) or not _has_annotations(tree)


def _has_annotations(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.AnnAssign | ast.FunctionDef) for node in ast.walk(tree))


_ALONE = """
import sys, pkgutil
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import botocore.session, botocore.config
of_botocore = set(sys.modules)
for name in ("command", "serve", "check", "zypper", "install", "bucket", "proxy", "agent.command"):
    __import__("repod.hosts." + name)
new = {name.partition(".")[0] for name in set(sys.modules) - of_botocore}
print(*sorted(new - set(sys.stdlib_module_names)))
print(*sorted(name for name in sys.modules if name.startswith("repod") and not name.startswith("repod.hosts")))
"""


def test_it_imports_nothing_but_the_standard_library_and_botocore() -> None:
    words = [sys.executable, "-c", _ALONE, str(_ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["repod", "repod", "repod.jsontext", "repod.windows"]


def test_without_botocore_it_packs_and_says_what_is_missing(tmp_path: Path) -> None:
    bare = [sys.executable, "-S", "-m", "repod.hosts"]  # no site-packages
    made = tmp_path / "repod-s3.pyz"
    assert subprocess.run([*bare, "pack", str(made)], cwd=_ROOT, check=False).returncode == 0
    assert made.read_bytes().startswith(b"#!/usr/bin/python3\n")
    done = subprocess.run(
        [sys.executable, "-S", str(made), "check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert re.fullmatch(r"repod-s3: botocore is not there for \S+ \(.*\); install python3-botocore\n", done.stderr)
