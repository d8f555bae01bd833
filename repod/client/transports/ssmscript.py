"""What SSM's agent runs on a host for one command, and what it answers, as one text within SSM's bounds.

The command, its standard input and its answer travel as base64: SSM puts the values of its parameter store where a
text has ``{{ssm:NAME}}``, cuts an answer after 24,000 characters, and keeps no bytes that are not UTF-8. So the host
itself leaves out the middle of long streams, and packs what is left where it has gzip.
"""

import base64
import math
import re
import shlex
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from repod.client.fleet import Limits, Ran

SHOWN = 24_000
"""Characters of an answer that SSM shows."""

LONGEST = 48 << 10
"""Characters that a script may have: a document with its parameters may have 64 KiB."""

MOST = 64 << 20
"""Bytes of a host's answer that are taken, however it is packed."""

GRACE = 30
"""Seconds that the agent gives a script more than the command itself may take."""

_LONGEST_RUN = 172_800  # seconds, by AWS-RunShellScript
_ROOM = SHOWN - 200  # the first line of an answer, and line ends
_UNBOUNDED = 1 << 30
_MARK = "repoctl-answer"
_NUMBER = "([0-9]{1,12})"
_FIRST = re.compile(rf"{_MARK} (\S+) {_NUMBER} {_NUMBER} {_NUMBER} {_NUMBER} (gzip|plain) {_NUMBER}")

_SCRIPT = """\
set -u
umask 077
d=$(mktemp -d /run/repoctl.XXXXXXXX 2>/dev/null || mktemp -d) || exit 125
trap 'rm -rf "$d"' EXIT
base64 -d >"$d/do" <<'END' || exit 125
{do}
END
base64 -d >"$d/in" <<'END' || exit 125
{data}
END
timeout -k 5 {seconds} sh -c 'sh "$0/do" <"$0/in" >"$0/out" 2>"$0/err"; echo $? >"$0/code"' "$d"
code=$(cat "$d/code" 2>/dev/null) || code=late
pack() {{
    : >"$d/all"
    told=
    for stream in out err; do
        size=$(($(wc -c <"$d/$stream")))
        if [ "$size" -gt $(($1 * 2)) ]; then
            head -c "$1" "$d/$stream" >>"$d/all"
            tail -c "$1" "$d/$stream" >>"$d/all"
            told="$told $size $(($1 * 2))"
        else
            cat "$d/$stream" >>"$d/all"
            told="$told $size $size"
        fi
    done
}}
pack {half}
form=gzip
gzip -c "$d/all" 2>/dev/null | base64 >"$d/text"
if [ ! -s "$d/text" ] || [ $(($(wc -c <"$d/text"))) -gt {room} ]; then
    form=plain
    [ {half} -le {least} ] || [ {room} -ge {unbounded} ] || pack {least}
    base64 "$d/all" >"$d/text"
fi
echo "{mark} $code$told $form $(($(wc -c <"$d/text")))"
cat "$d/text"
[ "$code" = late ] && exit 124
exit "$code"
"""
# Of both streams so much at each end that the text fits into what SSM shows, whatever it is: 4 * 4,300 bytes.
_LEAST = 4300


def script(argv: Sequence[str], data: bytes, limits: Limits, *, whole: bool) -> str:
    """What the agent is to run. ``whole``: answers longer than SSM shows are had from elsewhere."""
    # The only place where a command is quoted.
    do = f"LC_ALL=C.UTF-8\nexport LC_ALL\nexec {shlex.join(argv)}\n"
    return _SCRIPT.format(
        do=_lines(do.encode("utf-8", "surrogateescape")),
        data=_lines(data),
        seconds=f"{limits.seconds:.3f}",
        half=max(limits.output // 2, 1),
        room=_UNBOUNDED if whole else _ROOM,
        least=_LEAST,
        unbounded=_UNBOUNDED,
        mark=_MARK,
    )


def longest(limits: Limits) -> int:
    """Seconds after which the agent is to end the script, whatever it does."""
    return min(math.ceil(limits.seconds) + GRACE, _LONGEST_RUN)


def _lines(data: bytes) -> str:
    return base64.encodebytes(data).decode().rstrip("\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: what the command did, or that it did not end in time."""

    ran: Ran
    late: bool

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what the script wrote; None where it is cut short, ``ValueError`` where it is none at all."""
        first, _, rest = text.lstrip().partition("\n")
        match = _FIRST.fullmatch(first.strip())
        if match is None:
            msg = f"not an answer: {first[:200]!r}"
            raise ValueError(msg)
        code, form, length = match[1], match[6], int(match[7])
        # What shows the text may leave out the line end at its end.
        if len(rest.rstrip()) < length - 1:
            return None
        try:
            kept = base64.b64decode("".join(rest[:length].split()), validate=True)
            sizes = [int(match[number]) for number in range(2, 6)]
            kept = _unpacked(kept, sizes[1] + sizes[3]) if form == "gzip" else kept
        except (ValueError, zlib.error) as error:
            msg = f"not an answer: {error}"
            raise ValueError(msg) from error
        out, err = kept[: sizes[1]], kept[sizes[1] :]
        ran = Ran(
            code=int(code) if code.isdigit() else -1,
            out=_text(out, sizes[0]),
            err=_text(err, sizes[2]),
            cut=sizes[0] > sizes[1] or sizes[2] > sizes[3],
        )
        return cls(ran=ran, late=code == "late")


def _unpacked(data: bytes, size: int) -> bytes:
    """``size`` bytes, packed; ``ValueError`` where they are others: a host may pack more than there is memory for."""
    if size > MOST:
        msg = f"it says that it has {size} bytes, expected at most {MOST}"
        raise ValueError(msg)
    found = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, size + 1)
    if len(found) != size:
        msg = f"it does not have the {size} bytes that it says"
        raise ValueError(msg)
    return found


def _text(kept: bytes, size: int) -> str:
    """A stream of ``size`` bytes; where its middle is missing, a line says how much of it."""
    if size == len(kept):
        return kept.decode(errors="replace")
    half = len(kept) // 2
    ends = (kept[:half].decode(errors="replace"), kept[half:].decode(errors="replace"))
    return f"{ends[0]}\n[{size - len(kept)} bytes left out]\n{ends[1]}"
