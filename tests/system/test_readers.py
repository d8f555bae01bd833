"""Every reader of rpm-md sees the same packages in every form that repod publishes.

The repository is made by `repod once`, with groups, module streams and an advisory in it; what the
independent checker reads from its live view is what every reader must see in every view.
"""

import subprocess
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree

from tests.lab import forms, readers, rpms
from tests.lab.checker import check
from tests.lab.daemon import Repod
from tests.lab.frozen_check import assert_whole
from tests.lab.httpd import serving
from tests.lab.keys import Key
from tests.lab.place import parse
from tests.lab.views import Listing, View, all_views, differences, records, stated

FORMS: Mapping[str, Mapping[str, object]] = {
    "gz": {},
    "zstd": {"compression": "zstd"},
    "gz, single stream": {"single_stream": True},
    "zstd, single stream": {"compression": "zstd", "single_stream": True},
}
"""What a user sets for each form."""

# Nothing else by address: the others read a directory, to which mirrorlist and metalink do not lead.
_WAYS = {
    "dnf repoquery": ("live", "frozen", "mirrorlist", "metalink"),
    "zypper": ("live", "frozen", "mirrorlist", "metalink"),
}


class Published(NamedTuple):
    """A repository, the ways to it, and what it holds."""

    form: str
    views: Mapping[str, View]
    wanted: Listing


@pytest.fixture(scope="module", params=FORMS)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key: Key, key_file: Path
) -> Iterator[Published]:
    base = tmp_path_factory.mktemp("published")
    root = base / "www/test"
    root.mkdir(parents=True)
    with serving(root) as url:
        repod = Repod(base, key_file, {"test": {"url": f"{url}/", "profile": "el9", **FORMS[request.param]}})
        # More than a segment of them, some with the same name, and in two generations.
        for number in range(60):
            rpms.quick(repod.inbox(), f"filler{number}", source_rpm="f-1-1.src.rpm")
        assert repod.once().rc == 0
        forms.varied(repod.inbox())
        assert repod.once().rc == 0
        _carry(repod)
        report = assert_whole(root, key.public)
        assert {"group", "modules", "updateinfo"} <= report.documents.keys()
        views = all_views(root, url, int(report.revision), key.public)
        yield Published(request.param, views, stated(views["live"], report.packages))


def _carry(repod: Repod) -> None:
    """Publish groups, module streams and an advisory of every package."""
    (repod.inbox() / "comps.xml").write_text(forms.COMPS)
    (repod.inbox() / "greeting.modules.yaml").write_text(forms.MODULES)
    (repod.inbox() / "updateinfo.xml").write_text(forms.updateinfo(check(repod.store()).packages.values()))
    done = repod.once()
    assert done.rc == 0, done


@pytest.mark.parametrize("name", readers.READERS)
def test_a_reader_sees_the_same_packages_in_every_view(name: str, published: Published, tmp_path: Path) -> None:
    assert len(published.wanted) == 65
    for way in _WAYS.get(name, ("live", "frozen")):
        work = tmp_path / way
        work.mkdir()
        found = readers.READERS[name](published.views[way], work)
        assert differences(published.wanted, found) == [], way


def test_pythons_gzip_module_sees_the_same_packages(published: Published, tmp_path: Path) -> None:
    if "zstd" in published.form:
        with pytest.raises(OSError, match="Not a gzipped file"):
            readers.python_gzip(published.views["live"], tmp_path)
    else:
        for way in ("live", "frozen"):
            assert differences(published.wanted, readers.python_gzip(published.views[way], tmp_path)) == []


def test_the_documents_have_the_form_that_was_asked_for(published: Published) -> None:
    suffix = ".zst" if "zstd" in published.form else ".gz"
    for view in (published.views["live"], published.views["frozen"]):
        for kind in ("primary", "filelists", "other"):
            path = view.path / records(view.path)[kind].href
            assert path.suffix == suffix
            first, rest = _first_member(path)
            if "single" in published.form:
                assert rest == b""
            else:
                # A reader that stops here fails, and never takes it for a shorter list.
                assert rest != b""
                with pytest.raises(etree.XMLSyntaxError):
                    parse(first)


def _first_member(path: Path) -> tuple[bytes, bytes]:
    """The text of a document's first gzip member or zstd frame, and what follows it."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        one = zlib.decompressobj(31)
        return one.decompress(data), one.unused_data
    # zstd's frames have no end mark: the next one's magic number begins it.
    end = data.find(b"\x28\xb5\x2f\xfd", 4)
    first = data if end < 0 else data[:end]
    done = subprocess.run(["zstd", "-dcq"], input=first, capture_output=True, check=True)
    return done.stdout, data[len(first) :]
