"""``python -m tests.soak``: a day of CI in minutes, against one daemon; see README.md beside this.

It prints a line that lives, then what it found; it exits with 1 where anything was not as it must be.
"""

import argparse
import shlex
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.lab import processes
from tests.lab.keys import make_key
from tests.lab.seaweed import seaweed
from tests.soak.plan import Shape
from tests.soak.report import README, text_of, write
from tests.soak.run import Say, soak

_LINE_SECONDS = 30.0


def _arguments() -> argparse.Namespace:
    shape = Shape()
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=shape.minutes, help="how long packages come in")
    parser.add_argument("--packages", type=int, default=shape.packages)
    parser.add_argument("--repositories", type=int, default=shape.repositories)
    parser.add_argument("--buckets", type=int, default=None, help="how many of them lie in a bucket (a tenth)")
    parser.add_argument("--clients", type=int, default=shape.clients, help="polling clients on librepo")
    parser.add_argument("--poll", type=float, default=shape.poll, help="seconds between two reads of one of them")
    parser.add_argument("--seed", type=int, default=shape.seed)
    parser.add_argument("--keep", type=Path, help="an empty or new folder to work in, which stays")
    parser.add_argument("--write", action="store_true", help=f"put the result into {README.name} beside this")
    return parser.parse_args()


def _teller() -> Say:
    """Prints over the line before on a terminal, elsewhere a line now and then."""
    last = [0.0]

    def say(line: str, *, now: bool = False) -> None:
        if sys.stdout.isatty():
            print(f"\r\033[K{line}", end="\n" if now else "", flush=True)
        elif now or time.monotonic() - last[0] >= _LINE_SECONDS:
            last[0] = last[0] if now else time.monotonic()
            print(line, flush=True)

    return say


def main() -> int:
    arguments = _arguments()
    processes.mark()
    shape = Shape(
        minutes=arguments.minutes,
        packages=arguments.packages,
        repositories=arguments.repositories,
        buckets=arguments.repositories // 10 if arguments.buckets is None else arguments.buckets,
        clients=arguments.clients,
        poll=arguments.poll,
        grace=max(10.0, arguments.minutes * 6),
        seed=arguments.seed,
    )
    with ExitStack() as stack:
        base = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        base.mkdir(parents=True, exist_ok=True)
        key, key_file = make_key("rsa4096"), base / "key.asc"
        key_file.touch(0o600)
        key_file.write_bytes(key.secret)
        (base / "s3").mkdir()
        s3 = stack.enter_context(seaweed(base / "s3")) if shape.buckets else None
        command = f"python -m tests.soak {shlex.join(sys.argv[1:])}".strip()
        found = soak(shape, base, key, key_file, s3, _teller(), command)
    text = text_of(found)
    print(f"\n\n{text}")
    if arguments.write:
        write(text)
    return 0 if found.fine else 1


if __name__ == "__main__":
    sys.exit(main())
