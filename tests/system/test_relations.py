"""What repod says of packages that cannot be installed is what real dnf says of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repod.package import Nevra
from repod.relating import Plain
from repod.relations.pool import RelationWorker
from tests.lab import foreign
from tests.lab.bounds import temporary
from tests.lab.clients import Dnf
from tests.lab.rpmbuild import rpmbuild


@dataclass(frozen=True)
class Case:
    """A package: what its spec says beside its name, and the files it has."""

    name: str
    lines: Sequence[str] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    epoch: int | None = None
    version: str = "1.0"


# What others require, and then packages of which about half can be installed.
_PROVIDERS = (
    Case("libs", ["Provides: libfoo.so.1()(64bit)", "Provides: api = 1.5"], {"/usr/bin/tool": b"", "/opt/deep": b""}),
    Case("epochal", epoch=2),
    Case("both", ["Provides: common", "Provides: special"]),
    Case("common-only", ["Provides: common", "Conflicts: enemy"]),
    Case("dead-end", ["Requires: nobody", "Provides: maybe"]),
    Case("enemy"),
    Case("old-name"),
    Case("new-name", ["Obsoletes: old-name < 2", "Provides: old-name = 2"]),
)
_CASES = (
    Case("versioned-met", ["Requires: api >= 1.2"]),
    Case("versioned-unmet", ["Requires: api >= 2"]),
    Case("release-met", ["Requires: libs = 1.0-1"]),
    Case("release-unmet", ["Requires: libs = 1.0-2"]),
    Case("epoch-met", ["Requires: epochal >= 2:0.9"]),
    Case("epoch-unmet", ["Requires: epochal < 1:5"]),
    Case("soname-met", ["Requires: libfoo.so.1()(64bit)"]),
    Case("soname-unmet", ["Requires: libfoo.so.2()(64bit)"]),
    Case("path-in-primary", ["Requires: /usr/bin/tool"]),
    Case("path-in-filelists", ["Requires: /opt/deep"]),
    Case("path-unmet", ["Requires: /opt/nowhere"]),
    Case("transitive-unmet", ["Requires: maybe"]),
    Case("rich-or-met", ["Requires: (nobody or api)"]),
    Case("rich-or-unmet", ["Requires: (nobody or nothing)"]),
    Case("rich-with-met", ["Requires: (common with special)"]),
    Case("rich-with-unmet", ["Requires: (api with special)"]),
    Case("rich-without-met", ["Requires: (common without special)"]),
    Case("rich-if-met", ["Requires: (nobody if nothing)"]),
    Case("rich-if-unmet", ["Requires: (nobody if both)", "Requires: both"]),
    Case("conflict-of-its-own", ["Requires: common-only", "Requires: enemy"]),
    Case("obsoleted-is-still-named", ["Requires: old-name = 1.0", "Requires: new-name"]),
    Case("obsoleting-provides", ["Requires: old-name >= 2"]),
    Case("self-provided", ["Provides: mine", "Requires: mine"]),
)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repo")
    for case in (*_PROVIDERS, *_CASES):
        preamble = "\n".join(case.lines)
        rpmbuild(folder, case.name, case.version, epoch=case.epoch, files=dict(case.files), preamble=preamble)
    foreign.createrepo(folder)
    return folder


@pytest.fixture(scope="module")
def reasons(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Nevra, Sequence[str]]:
    """What repod says of every package, from its documents alone, unpacked by the program."""
    work = tmp_path_factory.mktemp("plain")
    paths = {kind: work / f"{kind}.xml" for kind in ("primary", "filelists")}
    for kind, path in paths.items():
        path.write_bytes(foreign.plain(repo, kind))
    whole = Plain(name="repo", primary=paths["primary"], filelists=paths["filelists"])
    with closing(RelationWorker(timeout=60, bounds=temporary())) as worker:
        return worker.unmet((), whole, ["x86_64", "noarch"]).unmet


@pytest.fixture(scope="module")
def host(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dnf]:
    text = f"[lab]\nname=lab\nbaseurl=file://{repo}\ngpgcheck=0\n"
    with Dnf(tmp_path_factory.mktemp("host"), text) as host:
        yield host


@pytest.mark.parametrize("case", _CASES, ids=[case.name for case in _CASES])
def test_dnf_and_repod_agree_on_what_can_be_installed(
    host: Dnf, reasons: Mapping[Nevra, Sequence[str]], case: Case
) -> None:
    done = host.run("install", "--assumeno", case.name)
    resolved = "Operation aborted" in done.out
    assert resolved or "Problem:" in done.out or "nothing provides" in done.out, done.out
    nevra = Nevra(name=case.name, epoch=0, version="1.0", release="1", arch="noarch")
    assert (nevra not in reasons) is resolved, (reasons.get(nevra), done.out)
    assert case.name.endswith("unmet") <= (not resolved)


def test_the_reason_names_what_is_missing_and_who_needs_it(reasons: Mapping[Nevra, Sequence[str]]) -> None:
    said = {nevra.name: texts for nevra, texts in reasons.items()}
    assert said["versioned-unmet"] == ["nothing provides api >= 2 needed by versioned-unmet-1.0-1.noarch"]
    assert said["path-unmet"] == ["nothing provides /opt/nowhere needed by path-unmet-1.0-1.noarch"]
    assert "nothing provides nobody needed by dead-end-1.0-1.noarch" in said["transitive-unmet"]
    assert any("conflicts with" in text for text in said["conflict-of-its-own"])
