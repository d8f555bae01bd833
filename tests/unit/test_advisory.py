"""One advisory in TOML or JSON becomes an updateinfo document that createrepo_c reads back as meant."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import createrepo_c
import pytest

from repod.doors import Unreadable
from repod.repodata import advisory, updateinfo

_LEAST = {
    "id": "LAB-2026:1",
    "type": "security",
    "title": "hello: fixes <a> & b",
    "issued": "2026-01-31",
    "packages": ["hello-1.0-1.noarch"],
}
_FULL = """
id = "LAB-2026:2"
type = "bugfix"
severity = "moderate"
title = "Größer"
summary = "s"
description = "first\\r\\nsecond"
solution = "dnf upgrade"
issued = 2026-01-31T23:30:00-02:00
updated = 2026-02-02
status = "stable"
version = "3"
rights = "ours"
release = "el9"
from = "team@example.com"
collection = "el9-prod"
relogin_suggested = true
packages = [
  "lib++-2:1.0~rc1-1.el9.x86_64",
  { nevra = "kernel-6-1.x86_64", reboot_suggested = true, src = "kernel-6-1.src.rpm" },
]
[[references]]
href = "https://example.com/?a=1&b=2"
id = "CVE-2026-1"
type = "cve"
title = "CVE-2026-1"
"""


def _read(tmp_path: Path, data: bytes) -> Any:
    path = tmp_path / "updateinfo.xml"
    path.write_bytes(updateinfo.check_merge(data))
    (record,) = createrepo_c.UpdateInfo(str(path)).updates
    return record


def _toml(text: str) -> bytes:
    return advisory.read("a.toml", text.encode())


def _faults(data: object, name: str = "a.json") -> list[str]:
    with pytest.raises(Unreadable) as refused:
        advisory.read(name, data if isinstance(data, bytes) else json.dumps(data).encode())
    assert {fault.code for fault in refused.value.faults} == {"document"}
    assert all("\n" not in fault.text for fault in refused.value.faults)
    return [fault.text for fault in refused.value.faults]


def test_the_least_that_says_what_is_fixed_is_enough(tmp_path: Path) -> None:
    record = _read(tmp_path, advisory.read("a.json", json.dumps(_LEAST).encode()))
    assert (record.id, record.type, record.title) == ("LAB-2026:1", "security", "hello: fixes <a> & b")
    assert record.issued_date == record.updated_date == dt.datetime(2026, 1, 31)  # noqa: DTZ001
    (package,) = record.collections[0].packages
    assert (package.name, package.epoch, package.version, package.release, package.arch, package.filename) == (
        *("hello", "0", "1.0", "1", "noarch"),
        "hello-1.0-1.noarch.rpm",
    )
    assert not package.reboot_suggested


def test_all_that_can_be_said_is_written(tmp_path: Path) -> None:
    record = _read(tmp_path, _toml(_FULL))
    assert (record.severity, record.title, record.summary, record.description) == (
        "Moderate",
        "Größer",
        "s",
        "first\nsecond",
    )
    assert (record.solution, record.status, record.version) == ("dnf upgrade", "stable", "3")
    assert (record.rights, record.release, record.fromstr) == ("ours", "el9", "team@example.com")
    assert record.issued_date == dt.datetime(2026, 2, 1, 1, 30)  # noqa: DTZ001
    assert record.updated_date == dt.datetime(2026, 2, 2)  # noqa: DTZ001
    (reference,) = record.references
    assert (reference.href, reference.id, reference.type) == ("https://example.com/?a=1&b=2", "CVE-2026-1", "cve")
    (collection,) = record.collections
    assert collection.name == collection.shortname == "el9-prod"
    lib, kernel = collection.packages
    assert (lib.name, lib.epoch, lib.version, lib.filename) == (
        "lib++",
        "2",
        "1.0~rc1",
        "lib++-1.0~rc1-1.el9.x86_64.rpm",
    )
    assert (lib.reboot_suggested, lib.relogin_suggested) == (False, True)
    assert (kernel.reboot_suggested, kernel.relogin_suggested, kernel.src) == (True, True, "kernel-6-1.src.rpm")


def test_toml_and_json_of_the_same_say_the_same() -> None:
    text = 'id = "LAB-2026:1"\ntype = "security"\ntitle = "hello: fixes <a> & b"\nissued = 2026-01-31\n'
    text += 'packages = ["hello-1.0-1.noarch"]\n'
    assert _toml(text) == advisory.read("A.JSON", json.dumps(_LEAST).encode())


def test_all_faults_of_a_file_are_listed_at_once_each_with_its_key() -> None:
    wrong = {
        "id": "a b",
        "type": "critical",
        "severity": "high",
        "issued": "yesterday",
        "updated": 5,
        "reboot_suggested": "yes",
        "titel": "typo",
        "packages": ["hello-1.0", {"nevra": "lib%2B%2B-1-1.noarch"}, {"reboot_suggested": True}],
        "references": [{"href": "javascript:x", "type": "CVE"}],
        "summary": "bell \x07",
    }
    faults = _faults(wrong)
    expected = [
        "a.json: id: expected letters",
        "a.json: type: expected 'security'",
        "a.json: title: is required and missing",
        "a.json: issued: expected a date",
        "a.json: packages.1.nevra: not a NEVRA: 'hello-1.0'",
        "a.json: packages.2.nevra: not a NEVRA: 'lib%2B%2B-1-1.noarch'",
        "a.json: packages.3.nevra: is required and missing",
        "a.json: updated: expected a date",
        "a.json: severity: expected 'Critical'",
        "a.json: summary: expected text without control characters",
        "a.json: reboot_suggested: expected true or false, found 'yes'",
        "a.json: references.1.href: expected a URL",
        "a.json: references.1.type: expected 'bugzilla'",
        "a.json: titel: is no key of an advisory",
    ]
    assert len(faults) == len(expected)
    assert [start for start in expected if not any(fault.startswith(start) for fault in faults)] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"packages": []}, "packages: expected at least one"),
        ({"packages": "hello-1.0-1.noarch"}, "packages: expected a list"),
        ({"packages": ["a-1-1.noarch", "a-0:1-1.noarch"]}, "packages: a-1-1.noarch: named more than once"),
        ({"issued": "0001-01-01T00:00:00+14:00"}, "issued: expected a year from 1970 to 9998"),
        ({"title": "\ud800"}, "title: "),
        ({"title": ""}, "title: "),
        ({"id": 7}, "id: expected a text, found 7"),
    ],
)
def test_a_fault_names_key_expectation_and_what_was_found(change: dict[str, Any], reason: str) -> None:
    (fault,) = _faults(_LEAST | change)
    assert fault.startswith(f"a.json: {reason}")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.toml", b"id = ", "a.toml: not TOML"),
        ("a.toml", b"\xff", "a.toml: not TOML"),
        ("a.toml", b"id = 1\nid = 2\n", "a.toml: not TOML"),
        ("a.toml", b"a = " + b"[" * 100_000, "a.toml: not TOML"),
        ("a.json", b"{", "a.json: not JSON"),
        ("a.json", b"[" * 200_000, "a.json: not JSON"),
        ("a.json", b'{"id": "a", "id": "b"}', "a key stands twice"),
        ("a.json", b"[]", "a.json: expected a table"),
    ],
)
def test_what_is_neither_toml_nor_json_is_refused(name: str, data: bytes, reason: str) -> None:
    (fault,) = _faults(data, name)
    assert reason in fault
