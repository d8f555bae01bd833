"""``repoctl completion``: what a shell is to know of ``repoctl``, to complete what is typed."""

from collections.abc import Mapping

import click
from click.shell_completion import get_completion_class

_HOW: Mapping[str, str] = {
    "bash": "repoctl completion bash > /etc/bash_completion.d/repoctl",
    "zsh": "repoctl completion zsh > /usr/local/share/zsh/site-functions/_repoctl",
    "fish": "repoctl completion fish > ~/.config/fish/completions/repoctl.fish",
}


@click.command(epilog="\b\nOnce for each machine:\n" + "\n".join(f"  {how}" for how in _HOW.values()))
@click.argument("shell", type=click.Choice(list(_HOW)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete commands, options, and names of repositories and groups."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    root = ctx.find_root()
    made = kind(root.command, {}, "repoctl", "_REPOCTL_COMPLETE")
    # As click prints it; what it checks before looks at the bash of this machine, which may be another one's.
    click.echo(made.source_template % made.source_vars())
