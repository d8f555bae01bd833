"""Small updateinfo documents and packages for them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from repod.package import Nevra, Package, sha256


def listed(*nevras: str, salt: int = 0) -> dict[Nevra, Package]:
    """Packages by their NEVRA; the pkgid is made from NEVRA and ``salt``."""
    found = map(Nevra.parse, nevras)
    return {n: Package(nevra=n, pkgid=sha256(pkgid(str(n), salt)), size=1, href=n.location) for n in found}


def pkgid(nevra: str, salt: int = 0) -> str:
    """The sum that ``listed`` gives."""
    return f"{sum(map(ord, nevra)) + salt:064x}"


def finder(content: Mapping[Nevra, Package]) -> Callable[[Iterable[Nevra]], dict[Nevra, Package]]:
    """``find`` over a content."""
    return lambda nevras: {nevra: content[nevra] for nevra in nevras if nevra in content}


def namer(content: Mapping[Nevra, Package]) -> Callable[[str], Sequence[Package]]:
    """``named`` over a content."""
    return lambda name: [package for package in content.values() if package.nevra.name == name]


def update(key: str, *nevras: str, more: str = "", sums: Mapping[str, str] | None = None) -> str:
    """One ``<update>``, with things in it that repod does not know."""
    packages = "".join(_package(Nevra.parse(nevra), (sums or {}).get(nevra, "")) for nevra in nevras)
    return (
        f'<update from="me" type="security" odd="1 > 0"><id>{key}</id>\n    '
        f"<title>T &lt;{key}&gt; <!-- <update> --></title>"
        f"<issued date='2026-01-02 00:00:00'/><severity>Low</severity>{more}"
        f"<description><![CDATA[a </update> b]]></description>\n    <pkglist>\n      "
        f"<collection>\n        <name>c</name>"
        f"{packages}\n      </collection></pkglist></update>"
    )


def _package(nevra: Nevra, checksum: str) -> str:
    total = f'\n          <sum type="sha256">{checksum}</sum>' if checksum else ""
    return (
        f'\n        <package arch="{nevra.arch}" name="{nevra.name}" epoch="{nevra.epoch}" version="{nevra.version}" '
        f'release="{nevra.release}">\n          <filename>{nevra.filename}</filename>{total}\n        </package>'
    )


def updates(*texts: str) -> bytes:
    """The document of ``texts``."""
    return ("<?xml version='1.0'?>\n<!-- <updates> --><updates>\n" + "\n\n".join(texts) + "\n</updates>").encode()
