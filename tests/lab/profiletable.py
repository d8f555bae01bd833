"""The table of profiles as the README shows it."""

from repod.profiles import PROFILES, Answer, Verdict

_QUESTIONS = {
    "zstd_metadata": "zstd metadata",
    "packed_groups": "packed groups",
    "zstd_payload": "zstd payload",
    "format_6": "rpm format 6",
    "rpm_4_12": "needs rpm 4.12",
    "ed25519": "Ed25519 key",
    "subkey": "signing subkey",
    "metalink": "metalink",
}


def table() -> str:
    """The Markdown of all profiles and, numbered, of the reason for each answer that is not a plain yes."""
    numbers: dict[Verdict, int] = {}
    titles = ["profile", "hosts", *_QUESTIONS.values()]
    lines = [_row(titles), "|" + "---|" * len(titles)]
    for name, profile in PROFILES.items():
        verdicts: list[Verdict] = [getattr(profile, question) for question in _QUESTIONS]
        cells = [_cell(verdict, numbers) for verdict in verdicts]
        lines.append(_row([f"`{name}`", profile.hosts, *cells]))
    lines.append("")
    lines += [f"{number}. {_reason(verdict)}" for verdict, number in numbers.items()]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(verdict: Verdict, numbers: dict[Verdict, int]) -> str:
    """The answer with the number of its reason; a yes for all releases needs none."""
    if verdict.answer is Answer.YES and not verdict.since:
        return "yes"
    number = numbers.setdefault(verdict, len(numbers) + 1)
    return f"from {verdict.since} ({number})" if verdict.since else f"**{verdict.answer.value}** ({number})"


def _reason(verdict: Verdict) -> str:
    return f"{verdict.why} ({'measured' if verdict.measured else 'read'}: {verdict.source})"
