"""A change as the commands of each package tool.

All are called without a terminal and answer yes; only the repository and its named bases are enabled, a repository
that cannot be read is an error, metadata are fetched anew, and a held lock is told at once, not waited for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from repod.client.toolkit.asked import Change, Sources, Step, ToolName
from repod.package import Nevra

Commands = Callable[[str, Change, Sources], Sequence[Step]]


def steps(tool: ToolName, program: str, change: Change, sources: Sources) -> Sequence[Step]:
    """The commands that carry out a change, in their order. ``program``: the name that the tool is called by."""
    first = _erased("leftover", [_label(one) for one in change.leftovers])
    last = _erased("remove", change.removes)
    return [*first, *(_TOOLS[tool](program, change, sources) if change.asks else []), *last]


def _erased(step: str, words: Sequence[str]) -> Sequence[Step]:
    return [Step(name=step, argv=["rpm", "--erase", *words])] if words else []


def _label(nevra: Nevra) -> str:
    """A build as every rpm takes it: not all know epochs there."""
    return f"{nevra.name}-{nevra.version}-{nevra.release}.{nevra.arch}"


def offer(tool: ToolName, program: str, names: Sequence[str], sources: Sources) -> Sequence[Step]:
    """The commands that tell what the repository alone offers of ``names``; the last one's output is read."""
    alone = replace(sources, bases=(), mute=[name for name in sources.mute if name == sources.repository])
    return _OFFERS[tool](program, names, alone)


def spec(nevra: Nevra) -> str:
    """A build as dnf and yum take it, with its epoch where it has one."""
    return str(nevra)


def _dnf_common(program: str, sources: Sources) -> list[str]:
    return [
        program,
        "--assumeyes",
        "--refresh",
        "--best",
        "--disablerepo=*",
        f"--enablerepo={','.join(sources.all)}",
        *(f"--setopt={name}.skip_if_unavailable=0" for name in sources.all),
        *_keys(sources),
    ]


def _keys(sources: Sources) -> Sequence[str]:
    """Keys come from the file that was put there, or from the host's own files: never from elsewhere."""
    # Indexes are verified with a keyring of each repository: where it was lost, rpm's own keys fill it again.
    own = f"file://{sources.own_keys}" if sources.own_keys else ""
    muted = [f"--setopt={name}.gpgkey={own}" for name in sources.mute]
    if sources.key_file:
        return [f"--setopt={sources.repository}.gpgkey=file://{sources.key_file}", *muted]
    return muted


def _dnf(program: str, change: Change, sources: Sources) -> Sequence[Step]:
    # `install` of an exact build goes up and down, all names in one transaction; `downgrade` passes over
    # builds that are not lower, and ends with 0.
    common = [*_dnf_common(program, sources), "--setopt=exit_on_lock=1"]
    return list(_by_verb(common, change))


def _dnf5(program: str, change: Change, sources: Sources) -> Sequence[Step]:
    # It knows exit_on_lock and does not heed it: bring looks for locks first.
    return list(_by_verb(_dnf_common(program, sources), change))


def _by_verb(common: Sequence[str], change: Change) -> Sequence[Step]:
    verbs = (
        ("change", "install", [spec(one) for one in _exact(change)]),
        ("again", "reinstall", [spec(one) for one in change.again]),
        ("follow", "distro-sync", change.follows),
    )
    return [Step(name=name, argv=[*common, verb, *words]) for name, verb, words in verbs if words]


def _exact(change: Change) -> Sequence[Nevra]:
    """What is asked for by itself, where a verb of its own follows the repository."""
    return change.installs if change.follows else [*change.installs, *change.ups, *change.downs]


def _yum_common(program: str, sources: Sources) -> list[str]:
    return [
        program,
        "--assumeyes",
        "--disablerepo=*",
        f"--enablerepo={','.join(sources.all)}",
        "--setopt=exit_on_lock=1",
        *(f"--setopt={name}.skip_if_unavailable=0" for name in sources.all),
        *_keys(sources),
    ]


def _yum(program: str, change: Change, sources: Sources) -> Sequence[Step]:
    # yum 3 goes down only where it is told so, and has no --refresh.
    common = _yum_common(program, sources)
    verbs = (
        ("refresh", "clean", ["expire-cache"]),
        ("lower", "downgrade", [] if change.follows else [spec(one) for one in change.downs]),
        ("change", "install", [spec(one) for one in _exact(change) if one not in change.downs]),
        ("again", "reinstall", [spec(one) for one in change.again]),
        ("follow", "distro-sync", change.follows),
    )
    return [Step(name=name, argv=[*common, verb, *words]) for name, verb, words in verbs if words]


def _microdnf_common(program: str, sources: Sources) -> list[str]:
    # It refuses settings that it does not know, and each of its versions knows others: none is given.
    return [program, "-y", "--disablerepo=*", *(f"--enablerepo={name}" for name in sources.all)]


def _microdnf(program: str, change: Change, sources: Sources) -> Sequence[Step]:
    common = _microdnf_common(program, sources)
    exact = [spec(one) for one in (*change.installs, *change.ups, *change.downs)]
    again = [spec(one) for one in change.again]
    found = [*_import(sources), Step(name="refresh", argv=[*common, "clean", "all"])]
    if exact:
        found.append(Step(name="change", argv=[*common, "install", *exact]))
    if again:
        found.append(Step(name="again", argv=[*common, "reinstall", *again]))
    return found


def _import(sources: Sources) -> Sequence[Step]:
    """For tools that take keys from rpm's database alone: the pinned ones are put into it."""
    if not sources.key_file:
        return []
    return [Step(name="key", argv=["rpm", "--import", sources.key_file])]


def _zypper_common(program: str) -> list[str]:
    return ["env", "ZYPP_LOCK_TIMEOUT=0", program, "--non-interactive"]


def _refresh(program: str, sources: Sources) -> Step:
    return Step(name="refresh", argv=[*_zypper_common(program), "refresh", "--force", sources.repository])


def _zypper(program: str, change: Change, sources: Sources) -> Sequence[Step]:
    common = _zypper_common(program)
    only = [word for name in sources.all for word in ("--repo", name)]
    exact = [_capability(one) for one in _exact(change)]
    again = [_capability(one) for one in change.again]
    found = [*_import(sources), _refresh(program, sources)]
    if exact:
        found.append(Step(name="change", argv=[*common, "install", *only, "--oldpackage", *exact]))
    if again:
        found.append(Step(name="again", argv=[*common, "install", *only, "--force", *again]))
    if change.follows:
        found.append(Step(name="follow", argv=[*common, "dist-upgrade", *only, "--from", sources.repository]))
    return found


def _capability(nevra: Nevra) -> str:
    return f"{nevra.name}.{nevra.arch}={nevra.evr}"


_DNF_FORM = "@%{name}|%{epoch}|%{version}|%{release}|%{arch}"


def _dnf_offer(program: str, names: Sequence[str], sources: Sources) -> Sequence[Step]:
    common = [*_dnf_common(program, sources), "--setopt=exit_on_lock=1"]
    return [
        Step(name="offer", argv=[*common, "repoquery", "--available", "--latest-limit=1", "--qf", _DNF_FORM, *names])
    ]


def _dnf5_offer(program: str, names: Sequence[str], sources: Sources) -> Sequence[Step]:
    # It ends no line by itself.
    words = ["repoquery", "--available", "--latest-limit=1", "--qf", _DNF_FORM + "\\n", *names]
    return [Step(name="offer", argv=[*_dnf_common(program, sources), *words])]


def _yum_offer(program: str, names: Sequence[str], sources: Sources) -> Sequence[Step]:
    common = _yum_common(program, sources)
    return [
        Step(name="refresh", argv=[*common, "clean", "expire-cache"]),
        Step(name="offer", argv=[*common, "--quiet", "--showduplicates", "list", "available", *names]),
    ]


def _microdnf_offer(program: str, names: Sequence[str], sources: Sources) -> Sequence[Step]:
    common = _microdnf_common(program, sources)
    return [
        *_import(sources),
        Step(name="refresh", argv=[*common, "clean", "all"]),
        Step(name="offer", argv=[*common, "repoquery", "--available", *names]),
    ]


def _zypper_offer(program: str, names: Sequence[str], sources: Sources) -> Sequence[Step]:
    words = ["--xmlout", "--no-refresh", "search", "--details", "--match-exact", "--type", "package"]
    return [
        *_import(sources),
        _refresh(program, sources),
        Step(name="offer", argv=[*_zypper_common(program), *words, "--repo", sources.repository, *names]),
    ]


_TOOLS: Mapping[ToolName, Commands] = {
    ToolName.DNF: _dnf,
    ToolName.DNF5: _dnf5,
    ToolName.YUM: _yum,
    ToolName.MICRODNF: _microdnf,
    ToolName.ZYPPER: _zypper,
}
_OFFERS: Mapping[ToolName, Callable[[str, Sequence[str], Sources], Sequence[Step]]] = {
    ToolName.DNF: _dnf_offer,
    ToolName.DNF5: _dnf5_offer,
    ToolName.YUM: _yum_offer,
    ToolName.MICRODNF: _microdnf_offer,
    ToolName.ZYPPER: _zypper_offer,
}
