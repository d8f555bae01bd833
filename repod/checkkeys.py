"""The part of ``repod check`` about who else may read or change the files that hold secrets, and the settings."""

import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from repod.config import Settings, Signing
from repod.errors import Misconfigured
from repod.problems import Problem, warning
from repod.signing.secret import locate

_ELSEWHERE = ("gpg:", "command:")  # what key may be beside a file


def check_secrets(settings: Settings, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Files with a key, a passphrase or a hook's secret that users may read or change who should not."""
    signing = settings.signing
    yield from _signing(signing, "", environ)
    if signing.cosign:
        yield from _signing(signing.cosigning, "cosign", environ)
    for hook in settings.hook:
        yield from _file(f"[[hook]] {hook.name}", "secret", hook.secret, environ)


def check_settings(path: Path) -> Iterator[Problem]:
    """Settings that anybody may change: they name programs that repod runs, and the keys that it trusts."""
    with suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o002:
            yield warning("settings", f"{path} may be changed by other users (mode {mode:04o}); run chmod o-w {path}")


def _signing(signing: Signing, prefix: str, environ: Mapping[str, str]) -> Iterator[Problem]:
    if not signing.key.startswith(_ELSEWHERE):
        yield from _file("[signing]", prefix or "key", signing.key, environ)
    passphrase = f"{prefix}_passphrase_file".removeprefix("_")
    yield from _file("[signing]", passphrase, signing.passphrase_file, environ)


def _file(table: str, setting: str, value: str, environ: Mapping[str, str]) -> Iterator[Problem]:
    if not value:
        return
    # A file that is not there, or cannot be found, is told of by what opens it.
    with suppress(OSError, Misconfigured):
        path = locate(setting, value, environ, table=table)
        mode = stat.S_IMODE(path.stat().st_mode)
        # A group may read: so systemd and containers hand a secret to a service.
        doubt = "changed" if mode & 0o022 else "read" if mode & 0o004 else ""
        if doubt:
            text = f"{setting}: {path} may be {doubt} by other users (mode {mode:04o}); run chmod 600 {path}"
            yield warning(table.strip("[]").replace("]] ", " "), text)
