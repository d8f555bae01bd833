"""The lab's readers agree on repositories that createrepo_c made, and each notices a changed one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import forms, readers, rpms
from tests.lab.checker import check
from tests.lab.frozen_check import assert_whole
from tests.lab.httpd import serving
from tests.lab.keys import Key
from tests.lab.views import View, all_views, differences, stated


@pytest.fixture(scope="module", params=["zstd"])
def views(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key: Key
) -> Iterator[dict[str, View]]:
    """A repository of createrepo_c with all sorts of packages, by its views."""
    root = tmp_path_factory.mktemp("views")
    (root / "Packages").mkdir()
    for package in forms.varied(root):
        package.rename(root / "Packages" / package.name)
    with serving(root) as url:
        forms.make(root, 7, url, {"group": forms.COMPS, "modules": forms.MODULES}, form=request.param)
        for folder in (root, root / "generations/7"):
            forms.sign(folder / "repodata/repomd.xml", key)
        assert_whole(root)
        yield all_views(root, url, 7, key.public)


@pytest.mark.parametrize("name", readers.READERS)
def test_a_reader_gives_what_the_documents_say(name: str, views: dict[str, View], tmp_path: Path) -> None:
    view = views["live"]
    wanted = stated(view, check(view.root).packages)
    assert len(wanted) == 5
    for way, one in views.items():
        if way not in {"mirrorlist", "metalink"} or name in readers.BY_ADDRESS:
            work = tmp_path / way
            work.mkdir()
            found = readers.READERS[name](one, work)
            assert differences(wanted, found) == [], way
            assert all({"pkgid", "href", "size"} <= facts.keys() for facts in found.values())


def test_what_is_missing_foreign_or_different_is_told(tmp_path: Path) -> None:
    rpms.quick(tmp_path, "hello")
    forms.make(tmp_path, 1, "http://repo.example.com")
    view = View(root=tmp_path, address="")
    found = readers.createrepo_c_reads(view, tmp_path)
    other = {"hello-1.0-1.noarch": {**found["hello-1.0-1.noarch"], "size": 5}, "gone-1-1.noarch": {}}
    assert differences(other, found | {"new-1-1.noarch": {}}) == [
        "gone-1-1.noarch is not listed",
        "new-1-1.noarch is listed and not there",
        f"hello-1.0-1.noarch: size is {found['hello-1.0-1.noarch']['size']}, expected 5",
    ]
