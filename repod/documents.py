"""Edits of carried documents, weighed before they are published: what each would do to what is there.

So one that does not fit is refused alone, and never stands in the way of packages or other edits.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from repod.doors import Change, Edit, Find
from repod.errors import Corrupt, NotFound, RepodError, Unavailable, Unfit
from repod.generation import Document, Generation
from repod.package import Entry, Nevra, Package
from repod.publish import Publisher
from repod.wording import counted

Plain = Callable[[Document], bytes]
"""The plain text of a stored document; may raise ``Corrupt``, ``NotFound`` and ``Unavailable``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What publishing one edit would do.

    ``result``: ``accepted`` (it changes the document), ``duplicate`` (it changes nothing),
    ``rejected`` (it cannot be made on what is there), ``failed`` (what is there cannot be read
    now). ``text`` says why, for the last two.
    """

    result: str
    text: str = ""


class Scales:
    """Weighs the edits of one repository."""

    def __init__(self, *, plain: Plain, find: Find) -> None:
        """``find`` looks packages up in the generation that is given to ``weigh``."""
        self._plain = plain
        self._find = find

    def weigh(
        self, generation: Generation | None, edits: Sequence[Edit], entries: Iterable[Entry] = ()
    ) -> list[Verdict]:
        """A verdict on each of ``edits``, which are made one after the other, beside ``entries`` that come."""
        coming = {entry.package.nevra: entry.package for entry in entries}

        def find(nevras: Iterable[Nevra]) -> dict[Nevra, Package]:
            wanted = set(nevras)
            return dict(self._find(wanted)) | {nevra: coming[nevra] for nevra in wanted & coming.keys()}

        texts: dict[str, bytes | None] = {}
        return [self._verdict(generation, edit, texts, find) for edit in edits]

    def _verdict(
        self, generation: Generation | None, edit: Edit, texts: dict[str, bytes | None], find: Find
    ) -> Verdict:
        """The verdict on one edit; ``texts`` are the documents so far."""
        if edit.type not in texts:
            document = generation.document(edit.type) if generation else None
            try:
                texts[edit.type] = self._plain(document) if document else None
            except RepodError as error:
                return Verdict(result="failed", text=f"{edit.what} cannot join what is there: {error}")
        try:
            after = edit.apply(texts[edit.type], find)
        except NotFound as error:
            return Verdict(result="rejected", text=str(error))
        except Corrupt as error:
            return Verdict(result="rejected", text=f"{edit.what} cannot join what is there: {error}")
        except Exception as error:  # noqa: BLE001 - whatever a document brings about, packages go on
            return Verdict(result="failed", text=f"{edit.what} cannot join what is there: {error!r:.160}")
        before, texts[edit.type] = texts[edit.type], after
        return Verdict(result="duplicate" if before == after else "accepted")


def publish_edits(
    publisher: Publisher, scales: Scales, edits: Sequence[Edit], *, actor: str, done: str
) -> tuple[Generation, list[Verdict]]:
    """Publish all of ``edits``, or none where one cannot be made; the generation that holds them, and each verdict.

    ``done``: what is done with them, in a word, for the record of the generation. Raises ``Unfit``
    where an edit cannot be made on what is there, ``Unavailable`` where that cannot be read.
    """
    generation = publisher.open(actor)
    verdicts = scales.weigh(generation, edits)
    for result, error in (("rejected", Unfit), ("failed", Unavailable)):
        texts = [verdict.text for verdict in verdicts if verdict.result == result]
        if texts:
            raise error("\n".join(texts))
    made = [edit for edit, verdict in zip(edits, verdicts, strict=True) if verdict.result == "accepted"]
    if made:
        generation = publisher.publish(Change(edits=made), actor=actor, why=f"{in_words(made)} {done}")
    return generation, verdicts


def in_words(edits: Sequence[Edit], entries: Sequence[Entry] = ()) -> str:
    """What comes, in words: by name where it is one thing, else counted."""
    names = [*(str(entry.package.nevra) for entry in entries), *(edit.what for edit in edits)]
    if len(names) == 1:
        return names[0]
    counts = ((len(entries), "package"), (len(edits), "document"))
    return " and ".join(counted(count, noun) for count, noun in counts if count)
