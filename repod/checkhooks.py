"""``repod check`` of hooks: whether each can be told, as far as that shows without telling it."""

from collections.abc import Iterator, Mapping, Sequence

from repod.config import Settings
from repod.errors import Misconfigured, RepodError
from repod.hooking import Hook
from repod.outlets import open_sink
from repod.problems import Problem, fault, warning


def refuse_hooks(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise ``Misconfigured`` with every fault of hooks that shows without asking anybody."""
    faults = [text for hook in settings.hook for text in _faults(hook, environ)]
    if faults:
        raise Misconfigured(*faults)


def _faults(hook: Hook, environ: Mapping[str, str]) -> Sequence[str]:
    try:
        open_sink(hook, environ)
    except Misconfigured as error:
        return error.faults
    return ()


def check_hooks(settings: Settings, environ: Mapping[str, str]) -> Iterator[Problem]:
    """All problems with ``[[hook]]``; nothing is sent (``repod hooks test`` does)."""
    for hook in settings.hook:
        where = f"hook {hook.name}"
        faults = _faults(hook, environ)
        yield from (fault(where, text) for text in faults)
        if not faults:
            yield from _doubts(hook, where)


def _doubts(hook: Hook, where: str) -> Iterator[Problem]:
    if hook.way in {"sns", "eventbridge"}:
        from repod.hooks.aws import clients  # noqa: PLC0415 - it brings boto3

        try:
            found = clients(hook).credentials()
        except RepodError as error:
            yield fault(where, str(error))
            return
        if not found:
            yield fault(where, "there are no credentials of AWS here; give the daemon a role, variables or a profile")
    if hook.way == "url" and not hook.secret:
        text = "secret is not given, so a receiver cannot tell events of repod from forged ones"
        yield warning(where, f"{text}; make one with: openssl rand -hex 32")
    if hook.url.startswith("http://"):
        yield warning(where, f"url is not https: anyone on the way to {hook.target} can read and change events")
