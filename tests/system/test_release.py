"""A release: what is in it is listed, and whoever has the release key's public part can check all of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from repod import __version__
from tests.lab import keys
from tests.lab.processes import environment

_ROOT = Path(__file__).parents[2]


def _released(dist: Path, home: Path, key: str, *more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "config.packaging.release", str(dist), "--key", key, *more]
    env = environment(home, GNUPGHOME=str(home))
    return subprocess.run(words, cwd=_ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``dist``, released, and ``key.asc``, the public part of the key."""
    base = tmp_path_factory.mktemp("release")
    dist = base / "dist"
    (dist / "rpms").mkdir(parents=True)
    (dist / "repod-1.whl").write_bytes(b"wheel")
    (dist / "rpms/repod.rpm").write_bytes(b"rpm")
    with keys.gnupghome() as home:
        keys.generate(home, "ed25519")
        (fingerprint,) = keys.fingerprints(home)
        done = _released(dist, home, fingerprint, "--no-audit")
        (base / "key.asc").write_bytes(keys.export(home, fingerprint).public)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{dist}: signed 3 files\n"
    return base


def _checked(base: Path, dist: Path) -> bool:
    """As the README tells users to check it: by sqv, and by gpgv from a keyring of that one key."""
    by_sqv = ["sqv", "--keyring", str(base / "key.asc"), "SHA256SUMS.asc", "SHA256SUMS"]
    binary = base / "key.gpg"
    subprocess.run(["gpg", "--yes", "--dearmor", "-o", binary, base / "key.asc"], check=True, capture_output=True)
    by_gpgv = ["gpgv", "--keyring", str(binary), "SHA256SUMS.asc", "SHA256SUMS"]
    sums = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    return [subprocess.run(words, cwd=dist, capture_output=True, check=False).returncode for words in
            (by_sqv, by_gpgv, sums)] == [0, 0, 0]  # fmt: skip


def test_whoever_has_the_public_key_can_check_every_file(release: Path) -> None:
    assert _checked(release, release / "dist")
    names = {line.split("  ")[1] for line in (release / "dist/SHA256SUMS").read_text().splitlines()}
    assert names == {"repod-1.whl", "rpms/repod.rpm", f"repod-{__version__}.cdx.json"}


@pytest.mark.parametrize("what", ["repod-1.whl", "rpms/repod.rpm", f"repod-{__version__}.cdx.json", "SHA256SUMS"])
def test_a_file_that_was_changed_is_seen(release: Path, tmp_path: Path, what: str) -> None:
    dist = shutil.copytree(release / "dist", tmp_path / "dist")
    with (dist / what).open("ab") as file:
        file.write(b"x")
    assert not _checked(release, dist)


def test_the_bill_of_materials_is_valid_and_names_what_repod_stands_on_and_nothing_else(release: Path) -> None:
    """By CycloneDX's own schema; test tools are not part of repod."""
    text = (release / f"dist/repod-{__version__}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    named = {part["name"].lower().replace("_", "-") for part in bill["components"]}
    assert {"createrepo-c", "rpm-rs", "pysequoia", "lxml", "botocore", "cryptography", "starlette"} <= named
    assert named.isdisjoint({"pytest", "moto", "bandit", "mypy", "ruff", "hypothesis"})
    assert bill["metadata"]["component"]["version"] == __version__
    assert all(part["purl"].startswith("pkg:pypi/") and part["version"] for part in bill["components"])


def test_a_key_is_named_by_its_full_fingerprint(tmp_path: Path) -> None:
    done = _released(tmp_path, tmp_path, "A" * 39)
    assert (done.returncode, "expected a full fingerprint" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
