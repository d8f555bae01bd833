"""What to write into the settings and which commands to run next, while one key takes the place of another."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import PurePath
from shlex import quote

from repod.config import Signing
from repod.hostkeys import COSIGNS, HostKey
from repod.rotation import AHEAD, PHASES, PUBLISH, RESIGN, RETIRE, STEADY, SWITCH, WINDOW, Verdict

_RELOAD = "systemctl reload repod"
_CHECK = "repod check"
_AGAIN = "repod keys rotate"
_FOLDER = PurePath("/etc/repod")
_NO_FILE = re.compile(r"[a-z0-9-]+:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """``do`` is ``run``, a command, or ``set``, a line of ``[signing]`` in the settings."""

    do: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """What is next: ``steps`` in their order; ``remarks`` are sentences beside them."""

    phase: str
    next: str
    steps: Sequence[Step] = ()
    remarks: Sequence[str] = ()


def _run(*lines: str) -> list[Step]:
    return [Step(do="run", line=line) for line in lines]


def _set(*lines: str) -> list[Step]:
    return [Step(do="set", line=line) for line in lines]


def guide(verdicts: Sequence[Verdict], keys: Sequence[HostKey], signing: Signing) -> Guide:
    """The step that is next for all repositories together: they share their keys."""
    if not verdicts:
        return Guide(phase=STEADY, next="nothing: there is no repository")
    phase = min((verdict.phase for verdict in verdicts), key=PHASES.index)
    there = [verdict for verdict in verdicts if verdict.phase == phase]
    about = next((key for key in keys if key.fingerprint == there[0].key), keys[0])
    steps: Mapping[str, Callable[[], Guide]] = {
        AHEAD: lambda: Guide(phase=phase, next=there[0].next, steps=_run(_CHECK)),
        STEADY: lambda: _first_step(signing),
        SWITCH: lambda: _switch(about, keys, signing),
        RESIGN: lambda: _resign(about, there),
        RETIRE: lambda: _retire(about, signing),
    }
    return steps[phase]() if phase in steps else _wait(about, there)


def _wait(about: HostKey, there: Sequence[Verdict]) -> Guide:
    """Hosts learn a key, or something needs one still: the repository that takes longest decides."""
    phase, longest = there[0].phase, max(there, key=lambda verdict: verdict.until or 0)
    return Guide(
        phase=phase,
        next=f"{about.fingerprint}: {longest.next}",
        steps=_run(_RELOAD, _AGAIN) if phase == PUBLISH else [],
        remarks=[_LEARNING] if phase == WINDOW else [],
    )


_LEARNING = (
    "dnf and zypper learn a key by themselves only when they need it and may say yes to it (dnf -y,"
    " zypper --gpg-auto-import-keys); give it to all other hosts now: rpm --import URL-OF-THE-KEY-FILE"
)


_LATE = (
    "a host that has not learnt the new key yet does so by: dnf -y --refresh makecache"
    " (zypper --gpg-auto-import-keys refresh)"
)


def _first_step(signing: Signing) -> Guide:
    file = _next_file(signing)
    published = [*signing.published, f"{file}.pub"]
    return Guide(
        phase=STEADY,
        next="nothing: one key signs everything. To replace it, make the next one and let hosts learn it",
        steps=[*_run(f"repod keys make {quote(file)}"), *_set(_list("published", published)), *_run(_RELOAD, _AGAIN)],
    )


def _next_file(signing: Signing) -> str:
    """Where the next key may lie: beside the one that signs, under a name that the settings do not name yet."""
    folder = _FOLDER if _NO_FILE.match(signing.key) else PurePath(signing.key).parent
    taken = {signing.key, signing.cosign, *(place.removesuffix(".pub") for place in signing.published)}
    files = (str(folder / f"next-key{'' if number == 1 else f'-{number}'}.asc") for number in count(1))
    return next(file for file in files if file not in taken)


def _switch(coming: HostKey, keys: Sequence[HostKey], signing: Signing) -> Guide:
    own = {"cosign": signing.key}
    own |= {"cosign_passphrase_file": signing.passphrase_file} if signing.passphrase_file else {}
    own |= {"cosign_public_key": signing.public_key} if signing.public_key else {}
    return Guide(
        phase=SWITCH,
        next=f"let {coming.fingerprint} sign; {keys[0].fingerprint} goes on to sign the indexes beside it",
        steps=[
            *_set(f'key = "..."  # the secret part of {coming.fingerprint}'),
            *_set(*(f'{name} = "{value}"' for name, value in own.items())),
            *_set(_list("published", [place for place in signing.published if place != coming.source])),
            *_run(_CHECK, _RELOAD, _AGAIN),
        ],
        remarks=["cosign lets hosts that know the last key only, and run without -y, go on reading the repository"],
    )


def _resign(last: HostKey, there: Sequence[Verdict]) -> Guide:
    remarks = []
    if last.role != COSIGNS:
        remarks.append(
            f"hosts that know only {last.fingerprint} and run without -y refuse the index: set cosign to that"
            " key until it is retired"
        )
    return Guide(
        phase=RESIGN,
        next=f"{last.fingerprint} signed packages that are listed still: sign them anew",
        steps=_run(*(f"repod resign {verdict.repository}" for verdict in there), _AGAIN),
        remarks=remarks,
    )


def _retire(last: HostKey, signing: Signing) -> Guide:
    left = [place for place in signing.published if place != last.source]
    cosign = ['cosign = ""  # and no cosign_passphrase_file, no cosign_public_key'] if last.role == COSIGNS else []
    return Guide(
        phase=RETIRE,
        next=f"nothing needs {last.fingerprint} any more: take it out of the settings",
        steps=[*_set(*cosign, _list("published", left)), *_run(_CHECK, _RELOAD, _AGAIN)],
        remarks=[_LATE],
    )


def _list(name: str, values: Sequence[str]) -> str:
    """A line of TOML; JSON's list of texts is TOML's."""
    return f"{name} = {json.dumps(values, ensure_ascii=False)}"
