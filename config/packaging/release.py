"""``python -m config.packaging.release DIST``: what makes a folder of packages a release that others can check.

Into the folder come a bill of materials (CycloneDX) of all that repod stands on, in the versions that it was
tested with, ``SHA256SUMS`` over everything there, and its OpenPGP signature.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repod import __version__

_ROOT = Path(__file__).parents[2]
_SUMS = "SHA256SUMS"
_PIECE = 1 << 20


@click.command()
@click.argument("dist", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--key", required=True, help="Full fingerprint of the release key, in gpg's keyring or on its card.")
@click.option("--audit/--no-audit", default=True, show_default=True, help="Ask for known vulnerabilities first.")
def main(dist: Path, key: str, *, audit: bool) -> None:
    """List, sum up and sign what lies in DIST. Run it in the environment that the tests were run in."""
    if not re.fullmatch(r"[0-9A-F]{40}", key):
        msg = f"--key: expected a full fingerprint, 40 hexadecimal digits in upper case, found {key!r}"
        raise click.UsageError(msg)
    bill = bill_of_materials()
    if audit:
        _audit(bill)
    (dist / f"repod-{__version__}.cdx.json").write_text(json.dumps(bill, indent=2) + "\n")
    sums = dist / _SUMS
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in _digests(dist)))
    signature = dist / f"{_SUMS}.asc"
    signature.unlink(missing_ok=True)
    _run("gpg", "--batch", "--armor", "--local-user", f"{key}!", "--output", str(signature), "--detach-sign", str(sums))
    click.echo(f"{dist}: signed {len(sums.read_text().splitlines())} files")


def bill_of_materials() -> Mapping[str, Any]:
    """What repod stands on, as CycloneDX: its dependencies and theirs, as they are installed here."""
    graph = dict(_graph())
    pinned = "".join(f"{name}=={metadata.version(name)}\n" for name in sorted(graph) if name != "repod")
    words = ["--pyproject", str(_ROOT / "pyproject.toml"), "--mc-type", "application", "--output-reproducible"]
    said = _run("cyclonedx-py", "requirements", *words, "--spec-version", "1.6", "-", data=pinned)
    bill: dict[str, Any] = json.loads(said)
    root = bill["metadata"]["component"]
    root |= {"version": __version__, "purl": f"pkg:pypi/repod@{__version__}"}
    refs = {canonicalize_name(part["name"]): part["bom-ref"] for part in (root, *bill["components"])}
    bill["dependencies"] = [
        {"ref": refs[name], "dependsOn": sorted(refs[one] for one in needs)} for name, needs in sorted(graph.items())
    ]
    return bill


def _graph() -> Iterator[tuple[str, Collection[str]]]:
    """Each distribution that repod needs, itself the first, and what that needs on this machine."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    todo, seen = {"repod": frozenset[str]()}, dict[str, frozenset[str]]()
    while todo:
        name, extras = todo.popitem()
        texts = project["dependencies"] if name == "repod" else metadata.requires(name) or []
        needs: dict[str, frozenset[str]] = {}
        for one in map(Requirement, texts):
            if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                needs[canonicalize_name(one.name)] = needs.get(canonicalize_name(one.name), frozenset()) | one.extras
        seen[name] = extras
        yield name, set(needs)
        for need, wanted in needs.items():
            if need not in seen or wanted - seen[need]:
                todo[need] = seen.get(need, frozenset()) | todo.get(need, frozenset()) | wanted


def _audit(bill: Mapping[str, Any]) -> None:
    """Refuse a release of which a library has a known vulnerability, or cannot be asked about."""
    pinned = "".join(f"{part['name']}=={part['version']}\n" for part in bill["components"])
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pinned)
        file.flush()
        # Strict: what the service does not know is no answer either.
        _run(
            "pip-audit", "--strict", "--no-deps", "--disable-pip", "--progress-spinner=off", "--requirement", file.name
        )


def _digests(dist: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(dist.rglob("*")):
        if path.is_file() and path.name not in {_SUMS, f"{_SUMS}.asc"}:
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
            yield str(path.relative_to(dist)), digest.hexdigest()


def _run(*words: str, data: str = "") -> str:
    """What a program says; ``data`` is its standard input."""
    # The tools of the same environment come first.
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environ = os.environ | {"PATH": places}
    done = subprocess.run(words, input=data, capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        msg = f"{words[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}"
        raise click.ClickException(msg)
    return done.stdout


if __name__ == "__main__":
    main(prog_name="python -m config.packaging.release")
