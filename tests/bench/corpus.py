"""Packages to measure with: real RPM files, with text as varied as a distribution's.

Names, versions, summaries, descriptions and dependencies come from the package lists that
apt keeps on a Debian machine; file lists and changelogs are made from them. Equal seeds
give equal packages.
"""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import rpm_rs


def stanzas() -> list[dict[str, str]]:
    """The packages that apt knows, in the order it lists them."""
    listing = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, text=True).stdout
    found = [stanza for stanza in _parse(listing) if "Package" in stanza and "Version" in stanza]
    if len(found) < 1000:
        msg = "the benchmark takes its texts from apt's lists: run 'apt-get update' first"
        raise SystemExit(msg)
    return found


def _parse(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith(" "):
                fields[key] += "\n" + line.strip()
            elif ": " in line:
                key, _, value = line.partition(": ")
                fields[key] = value
        yield fields


def build(folder: Path, count: int) -> list[Path]:
    """``count`` RPM files in ``folder``.

    A process of its own makes them: what is measured later would inherit its peak of memory.
    """
    made = subprocess.run(
        [sys.executable, "-m", "tests.bench.corpus", str(folder), str(count)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [Path(line) for line in made.stdout.splitlines()]


def make(folder: Path, count: int, seed: int = 1) -> list[Path]:
    """``count`` RPM files in ``folder``; those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    known = stanzas()
    draw = random.Random(seed)
    paths = []
    for index in range(count):
        stanza = known[index % len(known)]
        name = stanza["Package"].replace(":", "-")
        version = stanza["Version"].rpartition("-")[0].partition(":")[2] or stanza["Version"].partition("-")[0]
        version = "".join(c if c.isalnum() or c in "._+~" else "." for c in version) or "1"
        release = str(1 + index // len(known))
        path = folder / f"{name}-{version}-{release}.noarch.rpm"
        seeded = random.Random(draw.random())
        if not path.exists():
            write(path, stanza, name, version, release, seeded)
        paths.append(path)
    return paths


def write(path: Path, stanza: dict[str, str], name: str, version: str, release: str, draw: random.Random) -> None:
    """One RPM file made from what apt says of a package."""
    builder = rpm_rs.PackageBuilder(name, version, "MIT", "noarch")
    builder.using_config(
        rpm_rs.BuildConfig(format=rpm_rs.RpmFormat.V4, compression=rpm_rs.CompressionType.Gzip, source_date=1700000000)
    )
    builder.release(release)
    builder.description(stanza.get("Description", name))
    builder.url(stanza.get("Homepage", ""))
    builder.vendor(stanza.get("Maintainer", ""))
    for dependency in stanza.get("Depends", "").split(", ")[:30]:
        if dependency:
            builder.requires(dependency.partition(" ")[0].partition(":")[0])
    words = stanza.get("Description-md5", name) + stanza.get("SHA256", name)
    for number in range(draw.choice([2, 5, 8, 12, 20, 40, 80])):
        part = words[number % 60 : number % 60 + draw.randint(3, 9)]
        builder.with_ghost(rpm_rs.FileOptions.ghost(f"/usr/share/{name}/{draw.choice(_DIRS)}/{part}-{number}"))
    for number in range(draw.randint(1, 6)):
        text = f"- {version}: change {words[number : number + 20]}"
        builder.add_changelog_entry(stanza.get("Maintainer", "x <x@x>"), text, 1700000000 - number * 90000)
    builder.build().write_file(str(path))


_DIRS = ("doc", "locale/de/LC_MESSAGES", "icons/hicolor/48x48/apps", "modules", "templates/default", "lib")


if __name__ == "__main__":
    for made in make(Path(sys.argv[1]), int(sys.argv[2])):
        print(made)
