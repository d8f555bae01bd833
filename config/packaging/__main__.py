"""``python -m config.packaging``: wheel, source archive and RPMs into a folder."""

import platform
import sys
import sysconfig
from pathlib import Path

import click

from config.packaging.rpms import Release, rpms
from config.packaging.target import CPUS, targets
from config.packaging.wheels import build, epoch, libraries

_ROOT = Path(__file__).parents[2]
CACHE = Path(sysconfig.get_path("data"), "share/repod-packaging")
"""Where libraries are kept, for the life of the virtual environment."""
_MADE = ("repod-*.rpm", "repod-*.whl", "repod-*.tar.gz", "repod-*.cdx.json", "SHA256SUMS", "SHA256SUMS.asc")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="Where they go; what it made there before goes.",
)
@click.option("--target", "names", multiple=True, metavar="NAME", help="Only RPMs for it; may be given again.")
@click.option(
    "--arch",
    type=click.Choice(sorted(CPUS)),
    default=platform.machine(),
    show_default=True,
    help="Architecture of the RPMs, as rpm says it.",
)
@click.option("--release", "number", default="1", show_default=True, metavar="N", help="Release of the RPMs.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=CACHE,
    help="Where libraries are kept between builds. [default: a folder of the virtual environment]",
)
@click.option("--fetch", is_flag=True, help="Only download the libraries.")
def main(out: Path, names: tuple[str, ...], arch: str, number: str, cache: Path, *, fetch: bool) -> None:
    """Build what repod is delivered as: a wheel, a source archive, and RPMs for each distribution in targets.toml."""
    known = targets(arch)
    if strange := sorted(set(names) - set(known)):
        raise click.UsageError(f"--target: expected one of {', '.join(known)}, found {', '.join(strange)}")
    chosen = [known[name] for name in names or known]
    trees = {target.name: libraries(_ROOT, target, cache) for target in chosen if target.python}
    if fetch:
        return
    _clear(out)
    wheel, archive = build(_ROOT, out)
    made = [wheel, archive]
    release = Release(root=_ROOT, wheel=wheel, time=int(epoch(_ROOT)), release=number)
    for target in chosen:
        made += rpms(release, target, trees.get(target.name), out)
    for path in made:
        click.echo(f"{path.stat().st_size:>10}  {path}")


def _clear(out: Path) -> None:
    """Remove what was made there before, so that a release has nothing of another one; what else lies there stays."""
    for pattern in _MADE:
        for path in out.glob(pattern):
            path.unlink()


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m config.packaging"))
