"""What lies in stores and state directories, where others may have written it: understood, or said to be unreadable."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from repod import announced, hostbook, ledger, outbox, rollouts, statement
from repod.actions import refusals
from repod.auditlog import chain
from repod.builds import HostReport
from repod.client import journal
from repod.client.drops import told
from repod.client.runs import begun
from repod.doors import Expect
from repod.errors import Corrupt, RepodError
from repod.generation import Document, Generation, Head, Patch, Rewritten
from repod.happenings import Event, Kind
from repod.office import By, Noted
from repod.package import Origin, sha256, store_path
from repod.reports import HostSays, Reported, Rollout, read_lines
from repod.rings import envelope, read, write
from repod.signed import Envelope
from repod.store.memory import MemoryStore
from tests.fuzz import mutate
from tests.fuzz.core import Door, Finding, Mutate, of_doors, only
from tests.fuzz.targets.hosts import rollout
from tests.lab.entries import made
from tests.lab.runs import plan

_NOW = 1.7e9
_BUILD = made("hello-2:1.0-1.noarch").package
_ROLLOUT: Mapping[str, Any] = {
    "id": "20260101T000000-abcd",
    "package": "hello",
    "builds": ["hello-2:1.0-1.noarch"],
    "state": "running",
    "actor": "ann",
    "started": "2026-01-01T00:00:00Z",
    "hosts": [{"host": "web1", "state": "proven", "from": "", "to": "hello-2:1.0-1.noarch", "seconds": 1.5}],
}
_SAYS = {"packages": [{"nevra": "hello-2:1.0-1.noarch", "header_sha256": "a" * 64}], "previous": []}
_REASON = {
    "file": "a.rpm",
    "sha256": "a" * 64,
    "size": 5,
    "time": "2026-01-01T00:00:00Z",
    "inbox": "/in",
    "faults": [{"code": "digest", "text": "x", "remedy": "y"}],
}


def _generation() -> bytes:
    document = Document(
        type="primary",
        href=store_path("repodata/p.xml.gz"),
        checksum=sha256("a" * 64),
        size=5,
        open_checksum=sha256("b" * 64),
        open_size=9,
        timestamp=1_700_000_000,
    )
    patch = Patch(heads=[1, 2, 3, 4], tails=[1, 2, 3, 4], runs=[Rewritten(start=0, stop=1, packed=[[5]] * 4)])
    texts = dict.fromkeys(("actor", "why", "repomd", "signature", "frozen_repomd", "frozen_signature"), "x")
    return Generation(
        number=2,
        parent=1,
        time=1_700_000_000,
        packages=1,
        added=[_BUILD],
        removed=[],
        documents=(document, document, document),
        frozen=document,
        origins=[Origin(how="arrival", of="a.rpm")],
        patch=patch,
        **texts,
    ).to_json()


def _read_generation(data: bytes) -> str:
    found = Generation.from_json(data)
    _ = found.came, found.carried, found.stored, found.view
    if Generation.from_json(found.to_json()) != found:
        raise Finding("a record reads back as another one")
    return f"{min(len(found.added), 3)} added"


def _read_rings(data: bytes) -> str:
    found = read(data.decode(errors="replace"))
    if read(write(found)) != found:
        raise Finding("rings read back as others")
    return f"{len(found.rings)} rings"


def _opened(data: bytes) -> str:
    """What is proven next are the bytes of both texts."""
    for found in (envelope(data), statement.envelope(data)):
        found.document.encode()
        found.signature.encode()
    return "an envelope"


def _statement() -> bytes:
    digests = dict.fromkeys(("record", "repomd", "frozen_repomd"), sha256("a" * 64))
    times = {"published": 1_700_000_000, "issued": 1_700_000_000, "expires": 1_800_000_000}
    one = statement.Statement(
        repository="a", generation=3, keys=["AB"], before=[(2, sha256("b" * 64))], **digests, **times
    )
    return statement.write(one).encode()


def _read_statement(data: bytes) -> str:
    found = statement.read(data.decode(errors="replace"))
    if statement.read(statement.write(found)) != found:
        raise Finding("a statement reads back as another one")
    return f"{min(len(found.before), 3)} before"


def _stored(path: str, look: Callable[[MemoryStore], object]) -> Callable[[bytes], object]:
    """``look`` at a store in which an object holds the input."""

    def given(data: bytes) -> object:
        store = MemoryStore(lambda: _NOW)
        store.write(store_path(path), data, Expect.ANY)
        return look(store)

    return given


def _made(write_it: Callable[[MemoryStore], object]) -> tuple[str, bytes]:
    """The one object that is written: where, and what."""
    store = MemoryStore(lambda: _NOW)
    write_it(store)
    (path,) = [stored.path for stored in store.list("")]
    return path, store.read(path).data


def _booked(store: MemoryStore) -> None:
    book = ledger.Ledger(store, lambda _: None)
    book.pin(_BUILD, ledger.Mark(time=_NOW, actor="ann", why="x"))
    book.label(_BUILD, "good", ledger.Mark(time=_NOW, actor="ann", why=""))


def _reported(store: MemoryStore) -> None:
    lines = ("hello-2:1.0-1.noarch", "bye-1-1.x86_64")
    hostbook.HostBook(store).write(HostReport(host="web1", time=_NOW, lines=lines, digests=("a" * 64, ""), by="token"))


def _posted(store: MemoryStore) -> None:
    event = Event(kind=Kind.TEST, repository="a", id="x1", time=_NOW, data={"a": [1, 2]})
    outbox.Outbox("h", store).append(event, 3)


def _letters(store: MemoryStore) -> str:
    box = outbox.Outbox("h", store)
    for letter in box.letters():
        box.letter(letter).to_json()
    return "letters"


def _rolled(store: MemoryStore) -> str:
    kept = rollouts.Rollouts("a", store, post=lambda *_: None, pause=lambda _: None, clock=lambda: _NOW)
    return str(len(kept.newest(5)))


def _kept_rollout() -> bytes:
    one = Reported(
        rollout=Rollout.model_validate_json(json.dumps(_ROLLOUT)), reported_by="x", reported=_ROLLOUT["started"]
    )
    return rollouts._to_json(one)


def _lines(data: bytes) -> str:
    walk = chain.Walk({1: "a" * 64})
    for number, line in enumerate(data.split(b"\n")):
        list(walk.step(line + b"\n", f"line {number}"))
    list(walk.end())
    return f"{min(walk.count, 5)} records"


def _model(read: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """A body of the API; how its faults are said there is the target ``http``'s."""

    def given(data: bytes) -> object:
        try:
            read(data)
        except ValidationError as error:
            raise Corrupt(f"{error.error_count()} faults") from error
        return "a report"

    return given


def _sealed() -> bytes:
    noted = Noted(
        time=_NOW, by=By(actor="ann", why="x"), what="promote", repository="a", details={"n": [1]}, outcome="done"
    )
    first, head = chain.sealed(noted, chain.NOTHING)
    return first + chain.sealed(noted, head)[0]


def _run(folder: Path) -> bytes:
    with tempfile.TemporaryDirectory() as work:
        one = plan(["web1", "web2"], canary=1)
        kept = journal.FileJournal.create(Path(work), one)
        kept.note(begun(one), "web1")
        kept.note(begun(one))
        kept.close()
        return (Path(work) / f"{one.id}.jsonl").read_bytes()


def _journal(folder: Path) -> Callable[[bytes], object]:
    def given(data: bytes) -> object:
        (folder / "run.jsonl").write_bytes(data)
        return f"{len(journal.read(folder, 'run').hosts)} hosts"

    return given


def _doors(folder: Path) -> Mapping[str, Door]:
    def door(
        look: Callable[[bytes], object],
        *seeds: bytes,
        how: Mutate = mutate.as_json,
        no: type[BaseException] = Corrupt,
        lines: int = 1,
    ) -> Door:
        return Door(read=look, refusals=(no,), mutate=how, seeds=seeds, lines=lines)

    book, books = _made(_booked)
    report, reports = _made(_reported)
    letter, letters = _made(_posted)
    signed = Envelope(document=rollout().decode(), signature="x").to_json()
    known = json.dumps({"format": 1, "keys": [asdict(announced.Announced(fingerprint="AB", since=1.0))]}).encode()
    return {
        "generation": door(_read_generation, _generation()),
        "head": door(lambda data: str(min(Head.from_json(data).generation, 9)), Head(generation=5).to_json()),
        "envelope": door(_opened, signed),
        "statement": door(_read_statement, _statement()),
        "rings": door(_read_rings, rollout()),
        "ledger": door(_stored(book, lambda store: str(len(ledger.Ledger(store, lambda _: None).all()))), books),
        "hostbook": door(_stored(report, lambda store: str(len(hostbook.HostBook(store).read()))), reports),
        "outbox": door(_stored(letter, _letters), letters),
        "rollout": door(_stored(f"{rollouts.FOLDER}x.json", _rolled), _kept_rollout(), no=RepodError),
        "announced": door(
            _stored(announced.ANNOUNCED, lambda store: str(len(announced.read_announced(store)))), known, no=RepodError
        ),
        "audit": door(_lines, _sealed()),
        "journal": door(_journal(folder), _run(folder)),
        "reason": door(lambda data: str(len(refusals._parsed(data))), json.dumps(_REASON).encode()),
        "told": door(lambda data: str(len(told._understood(data))), json.dumps(_REASON).encode()),
        "rollout report": door(
            _model(lambda data: Rollout.model_validate_json(data).counts),
            json.dumps(_ROLLOUT).encode(),
            lines=0,
        ),
        "host report": door(
            _model(HostSays.model_validate_json),
            json.dumps(_SAYS).encode(),
            lines=0,
        ),
        "rpm -qa": door(
            only(lambda data: str(min(len(read_lines(data.decode(errors="replace")).packages), 9)), ValueError),
            b"hello-2:1.0-1.noarch\nbye-1-1.x86_64\n",
            how=mutate.text,
        ),
    }


RECORDS = of_doors("records", "generation records, pointers, ledgers, reports, journals, the audit log", _doors)
