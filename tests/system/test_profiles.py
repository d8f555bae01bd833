"""What the table of profiles says was measured: real clients and each form that a profile may publish."""

from pathlib import Path

import pytest

from repod.package import store_path
from repod.profiles import PROFILES
from repod.rpmfile.worker import examine, seal
from tests.lab import rpms
from tests.lab.clients import Dnf, Zypper, run
from tests.lab.keys import Key
from tests.lab.signers import opened, settings

_COMPS = b"""<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>lab</id><name>Lab Things</name><description>For the lab.</description><default>true</default>
<uservisible>true</uservisible><packagelist><packagereq type="mandatory">hello</packagereq></packagelist></group>
</comps>
"""
_MODULES = b"""---
document: modulemd
version: 2
data:
  name: labmod
  stream: "1"
  version: 1
  context: abcd1234
  arch: noarch
  summary: A lab module
  description: For the lab.
  license: {module: [MIT]}
  artifacts: {rpms: ["modular-0:1.0-1.noarch"]}
...
"""
_UPDATEINFO = b"""<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="lab@example.com" status="final" type="security" version="1"><id>LAB-1</id><title>A fix</title>
<issued date="2023-01-01 00:00:00"/><severity>Critical</severity><description>For the lab.</description>
<pkglist><collection short="l"><name>l</name><package name="hello" version="1.0" release="1" epoch="0" arch="noarch"
 src="hello-1.0-1.src.rpm"><filename>hello-1.0-1.noarch.rpm</filename></package></collection></pkglist></update>
</updates>
"""
_CARRIED = {"group": ("comps.xml", _COMPS), "modules": ("modules.yaml", _MODULES)}
_CARRIED |= {"updateinfo": ("updateinfo.xml", _UPDATEINFO)}
_TYPE = {"gz": "gz", "zst": "zstd"}
# Every pair of forms, of documents and of groups, that some profile publishes.
_FORMS = sorted(
    {
        (profile.form("primary", compression), profile.form("group", compression))
        for profile in PROFILES.values()
        for compression in ("gz", "zstd")
        if not profile.compression_fault(compression)
    }
)


def test_there_are_three_forms_in_all() -> None:
    assert _FORMS == [("gz", ""), ("gz", "gz"), ("zst", "zst")]


@pytest.fixture(params=_FORMS, ids=lambda forms: f"documents {forms[0]}, groups {forms[1] or 'plain'}")
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The ``.repo`` file of a repository by createrepo_c that holds every kind of record in these forms."""
    documents, groups = request.param
    folder = tmp_path / "repository"
    folder.mkdir()
    rpms.quick(folder)
    packed = [f"--{which}compress-type={_TYPE[documents]}" for which in ("", "general-")]
    assert run([rpms.tool("createrepo_c"), *packed, folder], tmp_path).rc == 0
    for kind, (name, content) in _CARRIED.items():
        (folder / name).write_bytes(content)
        suffix = groups if kind == "group" else documents
        how = ["--compress", f"--compress-type={_TYPE[suffix]}"] if suffix else ["--no-compress"]
        words = [rpms.tool("modifyrepo_c"), *how, f"--mdtype={kind}", folder / name, folder / "repodata"]
        assert run(words, tmp_path).rc == 0
        assert len(list((folder / "repodata").glob(f"*-{name}{'.' if suffix else ''}{suffix}"))) == 1
    return f"[lab]\nname=lab\nbaseurl=file://{folder}\nenabled=1\ngpgcheck=0\n"


def test_dnf_reads_packages_groups_modules_and_advisories_in_every_form(repository: str, tmp_path: Path) -> None:
    with Dnf(tmp_path / "dnf", repository) as host:
        assert "Lab Things" in host.run("group", "list").out
        assert "labmod" in host.run("module", "list").out
        assert "hello-0:1.0-1.noarch" in host.run("repoquery", "--available", "--advisory=LAB-1").out
        assert "hello-0:1.0-1.noarch" not in host.run("repoquery", "--available", "--advisory=LAB-2").out
        assert host.available() == ["hello-1.0-1.noarch"]


def test_zypper_reads_packages_and_advisories_in_every_form(repository: str, tmp_path: Path) -> None:
    with Zypper(tmp_path / "zypper", repository) as host:
        assert host.run("refresh").rc == 0
        assert "hello" in host.run("search", "hello").out
        assert "LAB-1" in host.run("list-patches", "--all").out


@pytest.mark.parametrize("rpm_format", [4, 6])
def test_rpm_4_installs_what_repod_signed_in_format_4_and_sees_no_signature_in_format_6(
    rpm_format: int, tmp_path: Path, key: Key
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    package = rpms.quick(folder, fmt=rpm_format)
    with settings("keyfile", key, tmp_path / "signer") as signing, opened(signing) as signer:
        signature = signer.sign(examine(package, b"").signable)
        seal(package, signature, signer.public_key, store_path("hello-1.0-1.noarch.rpm"), 10)
    (folder / "key.asc").write_bytes(key.public)
    assert run([rpms.tool("createrepo_c"), folder], tmp_path).rc == 0
    repo = f"[lab]\nname=lab\nbaseurl=file://{folder}\nenabled=1\ngpgcheck=1\ngpgkey=file://{folder}/key.asc\n"
    with Dnf(tmp_path / "dnf", repo) as host:
        done = host.install("hello")
        assert (done.rc == 0, host.installed() != []) == (rpm_format == 4, rpm_format == 4), done.out
        assert ("hello-1.0-1.noarch.rpm is not signed" in done.out) == (rpm_format == 6)
