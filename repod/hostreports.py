"""What hosts say that they run: a directory with one file per host, as ``rpm -qa`` prints it."""

import io
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from repod.builds import HostReport
from repod.errors import Unavailable
from repod.plainfile import open_plain


class ReportFolder:
    """``HostReports`` in a directory. Names that begin with a dot, and folders, are no reports."""

    def __init__(self, folder: Path) -> None:
        """``folder``: where the files are; a file's name is its host's, its time that of the report."""
        self._folder = folder

    def read(self) -> Sequence[HostReport]:
        """See ``HostReports.read``. A folder without any is ``Unavailable`` too: it may not be mounted."""
        try:
            paths = sorted(path for path in self._folder.iterdir() if not path.name.startswith("."))
            found = [_report(path) for path in paths if not path.is_dir()]
        except OSError as error:
            msg = f"reports of hosts in {self._folder} cannot be read ({error}); nothing is pruned until they can"
            raise Unavailable(msg) from error
        if not found:
            msg = f"no report of a host in {self._folder}; expected a file per host with what rpm -qa prints"
            raise Unavailable(f"{msg}: nothing is pruned until there is one")
        return found

    def write(self, host: str, text: str) -> None:
        """Put the report of a host in the place of its last one, whole; ``host`` is a plain name of a file."""
        path = self._folder / host
        fresh = self._folder / f".{host[:200]}.{secrets.token_hex(8)}"
        try:
            fresh.write_text(text, encoding="utf-8")
            fresh.chmod(0o644)
            fresh.replace(path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink()
            msg = f"report of host {host} cannot be written to {self._folder} ({error}); make it writable for repod"
            raise Unavailable(msg) from error

    def forget(self, host: str) -> bool:
        """Remove the report of a host; False where there is none."""
        try:
            (self._folder / host).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            msg = f"report of host {host} cannot be removed from {self._folder} ({error}); make it writable for repod"
            raise Unavailable(msg) from error
        return True


def _report(path: Path) -> HostReport:
    # Whoever may put reports there may put other things there too.
    with open_plain(path) as opened, io.TextIOWrapper(opened, encoding="utf-8", errors="backslashreplace") as file:
        time = os.fstat(file.fileno()).st_mtime
        lines = [stripped for line in file if (stripped := line.strip())]
    return HostReport(host=path.name, time=time, lines=lines)
