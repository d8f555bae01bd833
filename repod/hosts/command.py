"""The command `repod-s3`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from repod import __version__
from repod.hosts import install
from repod.hosts import settings as reading
from repod.hosts.faults import Fault, WrongUse
from repod.hosts.frame import DONE, FAILED, UNAVAILABLE, WRONG_USE, carried_out, show_findings, show_written
from repod.hosts.settings import CONFIG, Settings

_EPILOG = "Exit status: 0 done, 1 failed, 2 wrong use, 4 cannot listen or start."
_PARTS = ("dnf", "zypper", "systemd")


def main(words: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    return carried_out(command_line(), words, {WrongUse: WRONG_USE, Fault: UNAVAILABLE}, interrupted=FAILED)


def command_line() -> argparse.ArgumentParser:
    """What it takes, which its manual page is made of as well."""
    parser = argparse.ArgumentParser(
        prog="repod-s3",
        description="Lets dnf, yum and zypper on this host read repositories in private S3 buckets.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"repod-s3 {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="the signing proxy on loopback")
    _settings_options(serve)
    serve.add_argument("--verbose", action="store_true", help="a line for each request")
    serve.add_argument("--child", action="store_true", help="for a package manager: see repod/hosts/serve.py")
    serve.set_defaults(run=_serve)
    check = commands.add_parser("check", help="whether there are credentials, and whether they read the prefixes")
    _settings_options(check)
    check.add_argument("--json", action="store_true", help="for machines")
    check.set_defaults(run=_check)
    pack = commands.add_parser("pack", help="write this program as one file for hosts")
    pack.add_argument("file", type=Path, help="such as repod-s3.pyz")
    pack.add_argument("--python", default=install.PYTHON, help="Python 3.9 or newer on the hosts (%(default)s)")
    pack.set_defaults(run=_pack)
    put = commands.add_parser("install", help="put the program and what dnf, zypper or systemd need in place")
    put.add_argument("--root", type=Path, default=Path("/"), help="install below this folder (%(default)s)")
    for part in _PARTS:
        put.add_argument(f"--{part}", action="append_const", dest="parts", const=part, help=f"for {part}")
    put.add_argument("--dnf-plugins", type=Path, help="folder of dnf's plugins, where it is not beside dnf")
    put.add_argument("--python", default=install.PYTHON, help="Python 3.9 or newer that has botocore (%(default)s)")
    put.add_argument("--json", action="store_true", help="for machines")
    put.set_defaults(run=_install)
    # Run by zypper.
    commands.add_parser("resolve", help="the urlresolver plugin of zypper").set_defaults(run=_resolve)
    return parser


def _settings_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, help=f"settings ({CONFIG})")
    parser.add_argument("--listen", metavar="HOST:PORT", help="an address of loopback")
    parser.add_argument(
        "--allow", action="append", metavar="s3://BUCKET/PREFIX/", help="may be read; may be given again"
    )
    parser.add_argument(
        "--allow-user", action="append", dest="allow_users", metavar="USER", help="may ask; may be given again"
    )
    parser.add_argument("--idle", metavar="TIME", help="end after so long without a request (socket-activated only)")
    for name in ("endpoint", "region", "profile", "addressing"):
        parser.add_argument(f"--{name}", help="see repod-s3.conf")


def _settings(options: argparse.Namespace) -> Settings:
    """The file's, with what the options say in its place."""
    texts = dict(reading.read(options.config or CONFIG, required=options.config is not None))
    for name in ("listen", "idle", "endpoint", "region", "profile", "addressing"):
        given = getattr(options, name)
        if given is not None:
            texts[name] = given
    if options.allow:
        texts["allow"] = "\n".join(options.allow)
    if options.allow_users:
        texts["allow_users"] = " ".join(options.allow_users)
    return reading.parse(texts)


# What needs botocore is imported where it is used: `pack` and `install` run before it is there.
def _serve(options: argparse.Namespace) -> int:
    _with_botocore()
    from repod.hosts import serve  # noqa: PLC0415

    if options.child:
        serve.serve_child(_settings(options), verbose=options.verbose)
    else:
        serve.serve(_settings(options), os.environ, verbose=options.verbose)
    return DONE


def _check(options: argparse.Namespace) -> int:
    _with_botocore()
    from repod.hosts.check import findings  # noqa: PLC0415

    return show_findings(findings(_settings(options)), as_json=options.json)


def _with_botocore() -> None:
    try:
        import botocore.session  # noqa: F401, PLC0415
    except ImportError as error:
        msg = f"botocore is not there for {sys.executable} ({error}); install python3-botocore"
        raise WrongUse(msg) from error


def _pack(options: argparse.Namespace) -> int:
    print(f"written  {install.pack(options.file, options.python)}")
    return DONE


def _install(options: argparse.Namespace) -> int:
    if not options.parts:
        msg = f"install: expected at least one of {' '.join('--' + part for part in _PARTS)}, found none"
        raise WrongUse(msg)
    files = install.install(options.root, options.parts, python=options.python, dnf_plugins=options.dnf_plugins)
    then = "set allow in /etc/repod-s3.conf; systemctl daemon-reload; systemctl enable --now repod-s3.socket"
    show_written(files, then if "systemd" in options.parts else "", as_json=options.json)
    return DONE


def _resolve(_: argparse.Namespace) -> int:
    from repod.hosts import zypper  # noqa: PLC0415

    zypper.resolve(*zypper.streams(), install.own_command(), os.getppid())
    return DONE
