"""What may go to a host as a name: strict forms, so that nothing is ever an option, a pattern or a path."""

import re
from collections.abc import Iterator, Sequence

from repod.client.fleet import Aim
from repod.errors import Misconfigured
from repod.package import ARCH, NAME, VERSION, Nevra

_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\\-]{0,199}")
_LONGEST_KEYS = 100_000  # bytes: Linux takes 128 KiB as one argument


def faults_of_build(nevra: Nevra) -> Iterator[str]:
    """What is wrong with a build as a name."""
    parts = (
        ("name", nevra.name, NAME),
        ("version", nevra.version, VERSION),
        ("release", nevra.release, VERSION),
        ("arch", nevra.arch, ARCH),
    )
    for what, text, form in parts:
        if not form.fullmatch(text) or ".." in text:
            yield f"{what} {text!r} of build {str(nevra)!r} is not one that rpm allows"


def faults_of_aim(aim: Aim) -> Iterator[str]:
    """What is wrong with an aim."""
    for repository in (aim.repository, *aim.bases):
        if not _REPOSITORY.fullmatch(repository):
            yield f"{repository!r} is not the id of a repository: expected letters, digits and _ . : -"
    for build in aim.builds:
        yield from faults_of_build(build.nevra)
    if not aim.builds and aim.action != "sync":
        yield f"no builds to {aim.action}: expected at least one"
    if len(aim.key_file) > _LONGEST_KEYS:
        yield f"key_file has {len(aim.key_file)} bytes: expected at most {_LONGEST_KEYS}"


def check_aim(aim: Aim) -> None:
    """``Misconfigured`` with all that is wrong with an aim."""
    if faults := list(faults_of_aim(aim)):
        raise Misconfigured(*faults)


def check_run(run_id: str) -> None:
    """``Misconfigured`` where a run's id cannot be a folder's name."""
    if not _RUN.fullmatch(run_id) or ".." in run_id:
        msg = f"{run_id!r} is not the id of a run: expected letters, digits and _ . -"
        raise Misconfigured(msg)


def check_services(services: Sequence[str]) -> None:
    """``Misconfigured`` with the names that no unit of systemd has."""
    wrong = [name for name in services if not _SERVICE.fullmatch(name)]
    if wrong:
        raise Misconfigured(*(f"{name!r} is not the name of a service" for name in wrong))
