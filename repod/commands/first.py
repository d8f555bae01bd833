"""``repod init`` and ``repod demo``: a first repository."""

import os
import time
from pathlib import Path

import click

from repod.commands.common import run_daemon
from repod.config import Settings, load
from repod.hostfiles import key_name, repo_file
from repod.signing.create import create_key
from repod.start import sample_package, write_key, write_settings

_LISTEN = click.option(
    "--listen", default="127.0.0.1:8470", show_default=True, help="HOST:PORT of the HTTP listener, in new settings."
)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", default="main", show_default=True, help="Name of the first repository.")
@_LISTEN
def init(folder: Path, name: str, listen: str) -> None:
    """Write a commented repod.toml, a key and folders into DIR."""
    path = _make(folder, name, listen)
    click.echo(f"wrote {path}\nnext: repod check -c {path} && repod run -c {path}")


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="repod-demo",
    show_default=True,
    help="Where the demo lives: an ordinary repod folder, kept and used again.",
)
@_LISTEN
def demo(folder: Path, listen: str) -> None:
    """Set up and run a repository here: key, inbox, a sample package, URL, .repo file."""
    path = folder / "repod.toml"
    if not path.exists():
        click.echo("creating a signing key (RSA-4096, by gpg) ...")
        _make(folder, "demo", listen)
    settings = load(path)
    repository = settings.repository[0]
    sample_package(Path(repository.inbox), "repod-hello", "1.0", str(int(time.time())))
    run_daemon(path, settings, lambda url: click.echo(_farewell(settings, url)))


def _make(folder: Path, name: str, listen: str) -> Path:
    path = write_settings(folder, name, listen)
    try:
        load(path)
        write_key(folder, create_key(f"repod {name} <repod@localhost>", environ=os.environ).secret)
    except BaseException:
        path.unlink()  # a second try must not find a half-made folder
        raise
    return path


def _farewell(settings: Settings, url: str) -> str:
    repository = settings.repository[0]
    base = f"{url}repos/{repository.name}/"
    file = f"/etc/yum.repos.d/{repository.name}.repo"
    return (
        f"\nrepository  {base}\n"
        f"inbox       {repository.inbox}  (cp your.rpm there, and it is published)\n"
        f"metrics     {url}metrics\n"
        f"key         {base}{key_name(repository.name)}\n\n"
        f"# {file}\n{repo_file(repository.name, base)}\n"
        f"Try it on this machine, as root (Ctrl-C here stops the demo):\n"
        f"  curl -fsS --create-dirs -o {file} {base}{repository.name}.repo\n"
        f"  dnf -y --installroot=/var/tmp/repod-try --disablerepo='*' --enablerepo={repository.name} "
        f"install repod-hello\n"
    )
