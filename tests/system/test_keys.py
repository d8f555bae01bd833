"""``repod keys`` as people and scripts use it."""

import json
from pathlib import Path

import pytest

from tests.lab.daemon import Repod
from tests.lab.daemon import repod as command
from tests.lab.keys import Key, make_key
from tests.lab.rpms import quick


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Repod:
    """A repository of two packages, whose hosts also get another key."""
    (tmp_path / "next.pub").write_bytes(make_key("ed25519", lifetime="0").public)
    repod = Repod(tmp_path, key_file, settings={"inbox": {"settle": 0}})
    repod.configure("signing", key=str(key_file), published=["next.pub"])
    for name in ("a", "b"):
        quick(repod.inbox(), name)
    assert repod.once().rc == 0
    return repod


def test_every_key_is_listed_with_what_it_signed_and_since_when_hosts_get_it(repod: Repod, key: Key) -> None:
    rows = json.loads(repod.cli("keys list", "--json").out)
    assert [(row["role"], row["repositories"]["test"]["packages"]) for row in rows] == [("signs", 2), ("published", 0)]
    assert (rows[0]["fingerprint"], rows[1]["expires"], rows[1]["algorithm"]) == (key.fingerprint, "never", "ed25519")
    assert all(row["repositories"]["test"]["since"] for row in rows)
    assert "test: 2 packages; hosts get it since 20" in repod.cli("keys list").out


def test_a_key_of_the_settings_is_judged_by_its_fingerprint_and_no_other(repod: Repod, key: Key) -> None:
    (row,) = json.loads(repod.cli("keys lint", key.fingerprint.lower(), "--json").out)
    assert (row["fingerprint"], row["faults"], row["refused_by"]) == (key.fingerprint, [], [])
    unknown = repod.cli("keys lint", "F" * 40)
    assert unknown.rc == 2
    assert f"there are: {key.fingerprint}" in unknown.err
    assert "cannot be read" in repod.cli("keys lint", "none.pub").err


def test_a_script_reads_the_next_step_as_json(repod: Repod) -> None:
    (told,) = json.loads(repod.cli("keys rotate", "--json").out)
    assert (told["phase"], told["steps"], len(told["keys"])) == ("window", [], 2)
    (verdict,) = told["repositories"]
    assert (verdict["repository"], verdict["phase"], verdict["faults"]) == ("test", "window", [])
    assert verdict["until"] > 1_700_000_000


def test_a_key_is_made_once_and_its_secret_part_is_its_owners_alone(tmp_path: Path) -> None:
    made = command("keys", "make", tmp_path / "next.asc", "--name", "Next <next@example.com>")
    assert made.rc == 0
    assert (tmp_path / "next.asc").stat().st_mode & 0o777 == 0o600
    judged = command("keys", "lint", tmp_path / "next.asc.pub", "--json")
    (row,) = json.loads(judged.out)
    assert (judged.rc, row["algorithm"], row["fingerprint"]) == (0, "rsa4096", made.out.splitlines()[0])
    before = (tmp_path / "next.asc").read_bytes()
    again = command("keys", "make", tmp_path / "next.asc")
    assert again.rc == 2
    assert "give the path of a new file" in again.err
    assert (tmp_path / "next.asc").read_bytes() == before
    assert "holds a secret key" in command("keys", "lint", tmp_path / "next.asc").err
