"""Repositories that createrepo_c made, in every form that repod publishes: what readers and checker are tried on.

None of repod's code is in them.
"""

import functools
import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pysequoia

from tests.lab import oracle, rpms
from tests.lab.keys import Key
from tests.lab.listing import Listed
from tests.lab.rpmbuild import rpmbuild
from tests.lab.rpms import tool

COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
  <group><id>tools</id><name>Tools</name><description>All of them</description><default>true</default>
    <uservisible>true</uservisible>
    <packagelist><packagereq type="mandatory">hello</packagereq><packagereq>lib++</packagereq></packagelist>
  </group>
  <environment><id>desk</id><name>Desk</name><description/><display_order>1</display_order>
    <grouplist><groupid>tools</groupid></grouplist></environment>
</comps>
"""
MODULES = """---
document: modulemd
version: 2
data:
  name: greeting
  stream: "1.0"
  version: 20230101
  context: c0ffee00
  arch: noarch
  summary: Greetings
  description: Says hello.
  license: {module: [MIT]}
  artifacts: {rpms: ["hello-0:1.0-1.noarch"]}
...
---
document: modulemd-defaults
version: 1
data: {module: greeting, stream: "1.0"}
...
"""
PRODUCT = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def varied(folder: Path) -> list[Path]:
    """Packages of which each has something that readers could get wrong."""
    quick = functools.partial(rpms.quick, folder, source_rpm="lab-1-1.src.rpm")
    return [
        quick("hello", requires=["lib++ >= 2:1.0", "shell"], scriptlets={"post_install": "true"}),
        quick("hello", "1.1", changelog=rpms.changelog(3), provides=["a = 1-2", "b"]),
        quick("lib++", "1.0~rc1^git", epoch=2, arch="x86_64", files={"/etc/ä b": b"x", "/usr/bin/<&>": b"y"}),
        quick("many", files={f"/usr/share/many/{number}": b"x" for number in range(200)}),
        *rpmbuild(folder, "built", requires=["(hello if shell)"], summary="größer & <kleiner>"),
    ]


def updateinfo(packages: Iterable[Listed]) -> str:
    """One advisory per package, with its checksum, and a reference to one that nobody has."""
    rows = "".join(
        f'<update from="lab@example.com" status="stable" type="security" version="1"><id>LAB-{number}</id>'
        f"<title>{row.name} is mended</title><severity>Important</severity>"
        f'<issued date="2023-11-14 22:13:20"/><description>&amp; so on</description><pkglist><collection short="x">'
        f"<name>x</name>{_reference(row)}"
        '<package name="gone" epoch="0" version="1" release="1" arch="noarch"><filename>gone.rpm</filename></package>'
        "</collection></pkglist></update>\n"
        for number, row in enumerate(packages, 1)
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n{rows}</updates>\n'


def _reference(row: Listed) -> str:
    return (
        f'<package name="{row.name}" epoch="{row.epoch}" version="{row.version}" release="{row.release}" '
        f'arch="{row.arch}"><filename>{row.href.rpartition("/")[2]}</filename>'
        f'<sum type="sha256">{row.pkgid}</sum></package>'
    )


def modify(repodata: Path, kind: str, text: str, *options: str) -> None:
    """Add a record with modifyrepo_c."""
    file = repodata.parent / {"group": "comps.xml", "modules": "modules.yaml"}.get(kind, f"{kind}.xml")
    file.write_text(text)
    words = [tool("modifyrepo_c"), f"--mdtype={kind}", "--unique-md-filenames", *options, str(file), str(repodata)]
    subprocess.run(words, check=True, capture_output=True)
    file.unlink()


def make(repo: Path, number: int, url: str, carried: dict[str, str] | None = None, form: str = "gz") -> None:
    """Documents for the packages below ``repo``: live, frozen as generation ``number``, and what points there.

    ``url``: where ``repo`` is served, without a slash at its end. ``carried``: texts by type.
    """
    common = (f"--general-compress-type={form}", f"--compress-type={form}", f"--revision={number}")
    frozen = repo / "generations" / str(number)
    frozen.mkdir(parents=True)
    oracle.createrepo(repo, repo, *common)
    oracle.createrepo(repo, frozen, "--location-prefix=../../", *common)
    for repodata in (repo / "repodata", frozen / "repodata"):
        for kind, text in (carried or {}).items():
            plain = ("--no-compress",) if kind in {"group", "productid"} else (f"--compress-type={form}",)
            modify(repodata, kind, text, *plain)
    point(repo, number, url)


def point(repo: Path, number: int, url: str) -> None:
    """Write ``mirrorlist`` and ``metalink.xml`` so that they point at generation ``number``."""
    index = (repo / "generations" / str(number) / "repodata/repomd.xml").read_bytes()
    live = (repo / "repodata/repomd.xml").read_bytes()
    base = f"{url}/generations/{number}/"
    (repo / "mirrorlist").write_text(f"{base}\n")
    (repo / "metalink.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<metalink version="3.0" xmlns="http://www.metalinker.org/"'
        ' xmlns:mm0="http://fedorahosted.org/mirrormanager">\n<files><file name="repomd.xml">'
        f"{_verified(index)}<mm0:alternates><mm0:alternate>{_verified(live)}</mm0:alternate></mm0:alternates>"
        f'<resources><url preference="100">{base}repodata/repomd.xml</url></resources></file></files>\n</metalink>\n'
    )


def _verified(index: bytes) -> str:
    digest = hashlib.sha256(index).hexdigest()
    return f'<size>{len(index)}</size><verification><hash type="sha256">{digest}</hash></verification>'


def sign(index: Path, key: Key) -> None:
    """Put an armored signature beside an index."""
    signer = pysequoia.Tsk.from_bytes(key.secret).signer()
    made = pysequoia.sign(signer, index.read_bytes(), mode=pysequoia.SignatureMode.DETACHED)
    index.with_name("repomd.xml.asc").write_bytes(made)
