"""Packages to measure with: real RPM files, with text as varied as a distribution's, and as long.

Names, versions, summaries, descriptions and dependencies come from the package lists that
apt keeps on a Debian machine; file lists (90 files on average) and changelogs (10 entries)
are made from their words. Equal seeds give equal packages.
"""

import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
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
    jobs = [_job(folder, known[index % len(known)], 1 + index // len(known), seed + index) for index in range(count)]
    with ProcessPoolExecutor() as pool:
        return list(pool.map(_write_missing, jobs, chunksize=200))


Job = tuple[Path, dict[str, str], str, str, str, int]


def _job(folder: Path, stanza: dict[str, str], release: int, seed: int) -> Job:
    name = stanza["Package"].replace(":", "-")
    upstream = stanza["Version"].rpartition("-")[0].partition(":")[2] or stanza["Version"].partition("-")[0]
    version = "".join(c if c.isalnum() or c in "._+~" else "." for c in upstream) or "1"
    return folder / f"{name}-{version}-{release}.noarch.rpm", stanza, name, version, str(release), seed


def _write_missing(job: Job) -> Path:
    path, stanza, name, version, release, seed = job
    if not path.exists():
        write(path, stanza, name, version, release, random.Random(seed))
    return path


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
    words = [*stanza.get("Description", name).replace("/", " ").split(), name, "README", "main"]
    for number in range(min(600, int(draw.lognormvariate(3.9, 1.1)))):  # 50 files in the middle, 90 on average
        leaf = f"{draw.choice(words)}-{draw.choice(words)}{number}{draw.choice(_ENDS)}"
        path_on_host = f"/usr/{draw.choice(_DIRS).format(name=name)}/{leaf}"
        builder.with_symlink(rpm_rs.FileOptions.symlink(path_on_host, "target"))
    for number in range(10):
        text = "\n".join(f"- {' '.join(draw.choices(words, k=9))} (#{draw.randrange(99999)})" for _ in range(2))
        author = f"{stanza.get('Maintainer', 'x <x@x>')} - {version}-{number}"
        builder.add_changelog_entry(author, text, 1700000000 - number * 9000000)
    builder.build().write_file(str(path))


_DIRS = (
    "share/{name}",
    "share/{name}/templates/default",
    "share/doc/{name}",
    "share/locale/de/LC_MESSAGES",
    "share/icons/hicolor/48x48/apps",
    "lib/python3.11/site-packages/{name}",
    "lib/python3.11/site-packages/{name}/__pycache__",
    "include/{name}/detail",
    "bin",
)
_ENDS = ("", ".py", ".png", ".h", ".so.1", ".html", ".mo", ".txt")


if __name__ == "__main__":
    for made in make(Path(sys.argv[1]), int(sys.argv[2])):
        print(made)
