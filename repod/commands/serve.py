"""``repod run`` and ``demo``: the daemon."""

import functools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
from click.core import ParameterSource

from repod import __version__
from repod.board import Board
from repod.bus import Bus
from repod.checkhooks import refuse_hooks
from repod.commands.common import opened, settings_option
from repod.commands.first import listen_option, make
from repod.config import Settings, load
from repod.daemon import Daemon, listening
from repod.errors import Misconfigured
from repod.heap import give_back
from repod.hostfiles import key_name
from repod.log import open_log
from repod.metrics import Metrics
from repod.public import Public
from repod.start import sample_package
from repod.wiring import repo_text


@click.command()
@settings_option
def run(config: Path) -> None:
    """Run the daemon."""
    _run_daemon(config, load(config), lambda _url: None)


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="repod-demo",
    show_default=True,
    help="Where the demo lives: an ordinary repod folder, kept and used again.",
)
@listen_option
def demo(folder: Path, listen: str) -> None:
    """Set up and run a repository here: key, inbox, a sample package, URL, .repo file."""
    path = folder / "repod.toml"
    if not path.exists():
        click.echo("creating a signing key (RSA-4096, by gpg) ...")
        make(folder, "demo", listen, refuse=_refuse_taken)
    settings = load(path)
    given = click.get_current_context().get_parameter_source("listen") is ParameterSource.COMMANDLINE
    if given and settings.http.listen != listen:
        has = settings.http.listen
        msg = f"{path} has listen = {has!r}; expected {listen!r}: change it there, or give another --dir"
        raise Misconfigured(msg)
    repository = settings.repository[0]
    sample = sample_package(Path(repository.inbox), "repod-hello", "1.0", str(int(time.time())))
    _run_daemon(path, settings, lambda url: _once_gone(sample, lambda: click.echo(_farewell(settings, url))))


def _refuse_taken(settings: Settings) -> None:
    with listening(settings.http):
        pass


def _once_gone(arrival: Path, say: Callable[[], None]) -> None:
    """Call ``say`` when the arrival has left its inbox: then a host can install it."""

    def wait() -> None:
        while arrival.exists():
            time.sleep(0.02)
        say()

    threading.Thread(target=wait, name="demo", daemon=True).start()


def _run_daemon(config: Path, settings: Settings, ready: Callable[[str], None]) -> None:
    """Run the daemon to its end; ``ready`` is told its URL."""
    give_back(os.environ)
    log = open_log(settings.log.format, settings.log.level)
    metrics = Metrics(__version__)
    bus, board = Bus(), Board()
    daemon = Daemon(
        settings=settings,
        read=functools.partial(_reread, config),
        build=lambda fresh: Public(opened(fresh, log, metrics), metrics, log, bus=bus, board=board),
        metrics=metrics,
        log=log,
        environ=os.environ,
        ready=ready,
        bus=bus,
        board=board,
    )
    if not daemon.run():
        # A turn is still at work in a thread; what it leaves is taken up at the next start.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _reread(config: Path) -> Settings:
    """The settings as they are now. At a start a hook without its secret stops nobody; a reload is refused by it."""
    fresh = load(config)
    refuse_hooks(fresh, os.environ)
    return fresh


def _farewell(settings: Settings, url: str) -> str:
    repository = settings.repository[0]
    base = f"{url}repos/{repository.name}/"
    file = f"/etc/yum.repos.d/{repository.name}.repo"
    return (
        f"\nrepository  {base}\n"
        f"inbox       {repository.inbox}  (cp your.rpm there, and it is published)\n"
        f"pages       {url}  (open it in a browser)\n"
        f"metrics     {url}metrics\n"
        f"key         {base}{key_name(repository.name)}\n\n"
        f"# {file}\n{repo_text(repository, base)}\n"
        f"Try it on this machine, as root (Ctrl-C here stops the demo):\n"
        f"  curl -fsS --create-dirs -o {file} {base}{repository.name}.repo\n"
        f"  dnf -y --installroot=/var/tmp/repod-try --disablerepo='*' --enablerepo={repository.name} "
        f"install repod-hello\n"
    )
