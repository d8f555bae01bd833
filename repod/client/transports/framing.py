"""What a shell on a host is given to run, and what of its answer is the program's own.

The login shell may be any, and may print whatever it likes before it runs anything. So it gets a line that means the
same to all of them, which has ``/bin/sh`` run the rest; and a mark is printed on both streams where the program begins.
"""

import base64
import shlex
from collections.abc import Sequence

_BEGIN = r"""printf '%s\n' "$1"; printf '%s\n' "$1" >&2; shift; exec "$@" """


def words(argv: Sequence[str], mark: str, *, root: bool) -> Sequence[str]:
    """The program that prints ``mark`` on both streams and becomes ``argv``, with these exact arguments.

    As root it goes through sudo, which asks nothing: where it would, it fails before the mark.
    """
    program = ["/bin/sh", "-c", _BEGIN, "sh", mark, "env", "LC_ALL=C.UTF-8", *argv]
    return ["sudo", "-n", "--", *program] if root else program


def line(argv: Sequence[str], mark: str, *, root: bool) -> str:
    """The line with which any login shell runs ``words``."""
    text = "exec " + " ".join(map(shlex.quote, words(argv, mark, root=root)))
    # Letters, digits, +, / and = alone mean themselves to every shell, between quotes of which none stands inside.
    coded = base64.b64encode(text.encode()).decode()
    return f"""exec /bin/sh -c 'eval "$(printf %s {coded} | base64 -d)"'"""


def after(text: bytes, mark: str) -> bytes | None:
    """What follows the line with ``mark``; None where there is none: the program did not begin."""
    _, found, rest = text.partition(mark.encode() + b"\n")
    return rest if found else None
