"""From a program that ended, or did not, to what callers hear of it: the same for every way to a host."""

import secrets

from repod.client.fleet import HostFault, Limits, Ran, Trouble
from repod.client.transports.framing import after
from repod.client.transports.kept import Kept, last_line

_SHOWN = 2000


class Streams:
    """Both streams of one program, with the mark at which its own output begins."""

    def __init__(self, limits: Limits) -> None:
        """``limits``: how much of each is kept."""
        self.mark = f"repod-{secrets.token_hex(8)}"
        self.out, self.err = Kept(limits.output), Kept(limits.output)

    def ran(self, code: int, *, root: bool, user: str) -> Ran:
        """What it was; ``HostFault`` where it did not begin: sudo refused, or the login shell runs nothing."""
        out, err = after(self.out.bytes(), self.mark), after(self.err.bytes(), self.mark)
        if out is None:
            raise self._not_begun(code, root=root, user=user)
        return Ran(
            code=code,
            out=out.decode(errors="replace"),
            err=(err or b"").decode(errors="replace"),
            cut=self.out.cut or self.err.cut,
        )

    def silent(self, seconds: float, command: str) -> HostFault:
        """It took too long."""
        last = last_line(self._own(self.err)) or last_line(self._own(self.out))
        said = f"it wrote last: {last}" if last else "it wrote nothing"
        text = f"{command} did not end within {seconds:g} s; {said}"
        return HostFault(Trouble.TIME_LIMIT, text, output=self._both())

    def _not_begun(self, code: int, *, root: bool, user: str) -> HostFault:
        said = last_line(self.err.bytes()) or last_line(self.out.bytes())
        if root and "sudo" in said:
            if "password" in said or "terminal" in said:
                text = f"sudo needs a password for {user}; let it be without: {user} ALL=(root) NOPASSWD: ALL"
            else:
                text = f"sudo does not let {user} run commands as root: {said}"
            return HostFault(Trouble.SUDO, text, output=self._both())
        text = f"the login shell of {user} did not run the command (exit code {code}): {said or 'it said nothing'}"
        return HostFault(Trouble.DENIED, text, output=self._both())

    def _own(self, stream: Kept) -> bytes:
        found = after(stream.bytes(), self.mark)
        return stream.bytes() if found is None else found

    def _both(self) -> str:
        text = b"\n".join(piece for piece in (self._own(self.out), self._own(self.err)) if piece)
        return text.decode(errors="replace")[-_SHOWN:]
