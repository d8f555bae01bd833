"""Looks at what a daemon's folders hold, for tests that break something and then count."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.checker import assert_sound, check
from tests.lab.daemon import Repod
from tests.lab.keys import Key


def names(folder: Path) -> list[str]:
    """Names in a folder, sorted; none where there is no folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def records(store: Path) -> dict[int, dict[str, Any]]:
    """The records of a repository's generations by number."""
    folder = store / ".repod/generations"
    return {int(path.stem): json.loads(path.read_bytes()) for path in folder.glob("*.json")}


def head(store: Path) -> int:
    """The number of the generation that the pointer names."""
    return int(json.loads((store / ".repod/head.json").read_bytes())["generation"])


def is_torn(store: Path) -> bool:
    """Whether the live index is a generation's and its signature is that of the generation before.

    So it is between the two renames that make a generation live; no file system has one
    rename for both. The next start mends it.
    """
    known, number = records(store), head(store)
    live = [(store / "repodata" / name).read_text() for name in ("repomd.xml", "repomd.xml.asc")]
    return number > 1 and live == [known[number]["repomd"], known[number - 1]["signature"]]


def assert_sound_or_torn(store: Path, key: Key) -> bool:
    """Every checksum and signature is right, but for the index's own where ``is_torn``; the latter is returned."""
    faults = check(store, key.public).faults
    torn = bool(faults) and is_torn(store)
    if torn:
        assert [fault.startswith("repomd.xml.asc is no good signature") for fault in faults] == [True]
    else:
        assert faults == []
    return torn


def assert_each_published_once(repod: Repod, key: Key, nevras: Sequence[str]) -> None:
    """The repository is sound and lists exactly ``nevras``; its history has no gap and added each of them once."""
    store = repod.store()
    assert sorted(assert_sound(store, key.public)) == sorted(nevras)
    known = records(store)
    assert sorted(known) == list(range(1, head(store) + 1))
    added = [package["href"] for number in sorted(known) for package in known[number]["added"]]
    assert sorted(Path(href).name for href in added) == sorted(f"{nevra}.rpm" for nevra in nevras)
    assert sorted(path.name for path in store.glob("Packages/**/*.rpm")) == sorted(f"{nevra}.rpm" for nevra in nevras)


def assert_nothing_left_over(repod: Repod) -> None:
    """No arrival waits, and no temporary file of the store, the inbox, the caches or the workers is there."""
    assert [path for path in repod.inbox().rglob("*") if not path.is_dir()] == []
    assert [name for name in names(repod.rejected()) if name.startswith(".")] == []
    assert names(repod.store() / ".repod/tmp") == []
    assert names(repod.base / "state/work") == []
    assert list(repod.base.glob("state/cache/*/*.new")) == []
