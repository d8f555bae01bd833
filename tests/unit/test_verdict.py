"""What is wrong with a mirror, by what was read of it and by what is remembered."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from repod.client.chain import walk
from repod.client.verdict import Chain, Code, Demands, Finding, Mark, Sighting, compared, judge, remembered, span, worst
from repod.errors import Corrupt, NotFound
from repod.package import digest, sha256
from repod.signed import Envelope, Term
from repod.statement import STATEMENT, Statement, envelope, read, write

_NOW = 1_000_000
_D = [sha256(f"{number:064x}") for number in range(10)]
_S = Statement(
    repository="apps",
    generation=5,
    record=_D[5],
    repomd=_D[1],
    frozen_repomd=_D[2],
    published=_NOW - 500,
    issued=_NOW - 100,
    expires=_NOW + 900,
    keys=("A",),
    before=((4, _D[4]), (3, _D[3])),
)
_MARK = Mark(repository="apps", generation=5, record=_D[5], issued=_NOW - 200)


@pytest.mark.parametrize(
    ("statement", "demands", "mark", "code"),
    [
        (_S, Demands(), None, None),
        (_S, Demands(name="apps", since=5, max_age=100), _MARK, None),
        (_S, Demands(name="tools"), None, Code.REPOSITORY),
        (_S, Demands(), replace(_MARK, repository="tools"), Code.REPOSITORY),
        (_S, Demands(max_age=99), None, Code.OLD),
        (replace(_S, expires=_NOW), Demands(), None, Code.EXPIRED),
        (replace(_S, expires=_NOW + 1), Demands(), None, None),
        (replace(_S, issued=_NOW + 300), Demands(), None, None),
        (replace(_S, issued=_NOW + 301), Demands(), None, Code.CLOCK),
        (_S, Demands(since=6), None, Code.ROLLED_BACK),
        (_S, Demands(), replace(_MARK, generation=6), Code.ROLLED_BACK),
        (_S, Demands(), replace(_MARK, record=_D[9]), Code.FORKED),
        (_S, Demands(), replace(_MARK, generation=4, record=_D[4]), None),
    ],
)
def test_a_statement_is_judged_by_time_demands_and_memory(
    statement: Statement, demands: Demands, mark: Mark | None, code: Code | None
) -> None:
    found = judge(Sighting(statement=statement), demands, mark, _NOW)
    assert [one.code for one in found] == ([code] if code else [])


def test_what_must_not_be_trusted_counts_most_and_only_the_same_history_is_remembered() -> None:
    findings = {code: Finding(code, "") for code in Code}
    assert worst([]) == 0
    assert worst([findings[Code.UNSETTLED], findings[Code.OLD]]) == 3
    assert worst([findings[Code.OLD], findings[Code.FORKED], findings[Code.CLOCK]]) == 1
    assert {code for code, one in findings.items() if remembered([one])} == {Code.EXPIRED, Code.OLD, Code.PACKAGE}


@pytest.mark.parametrize(
    ("other", "stands", "code"),
    [
        (_S, "level", None),
        (replace(_S, generation=4, record=_D[4], published=_NOW - 4100), "1 generation, 60 min behind", None),
        (replace(_S, generation=7, record=_D[7], before=((6, _D[6]), (5, _D[5]))), "2 generations, 0 s ahead", None),
        (replace(_S, record=_D[9]), "forked", Code.FORKED),
        (replace(_S, generation=4, record=_D[9]), "forked", Code.FORKED),
        (replace(_S, generation=6, record=_D[6], before=((5, _D[9]),)), "forked", Code.FORKED),
        (replace(_S, repository="tools"), "another repository", Code.REPOSITORY),
    ],
)
def test_a_mirror_is_compared_with_the_origin(other: Statement, stands: str, code: Code | None) -> None:
    said, findings = compared(_S, other)
    assert (said, [one.code for one in findings]) == (stands, [code] if code else [])


class Bucket:
    """Records by number, as a ``Fetcher`` reads them."""

    def __init__(self, *records: bytes) -> None:
        self.records = {f"/r/.repod/generations/{number}.json": data for number, data in enumerate(records, start=1)}

    def stream(self, url: str, *, current: bool = False) -> Iterator[bytes]:
        assert not current
        if url not in self.records:
            raise NotFound(url)
        yield self.records[url]

    def span(self, url: str, first: int, end: int) -> tuple[bytes, int]:
        raise NotFound(f"{url} {first} {end}")


def _records(count: int, *, root: int = 0) -> Sequence[bytes]:
    made: list[bytes] = []
    for number in range(1, count + 1):
        before = f'"{digest(made[-1])}"' if made else "null"
        parent = 0 if number == root else number - 1
        made.append(b'{"parent": %d, "parent_sha256": %s}' % (parent, before.encode()))
    return made


def test_records_are_walked_back_to_the_one_that_was_seen() -> None:
    records = _records(6)
    newest = replace(_S, generation=6, record=digest(records[5]), before=())
    for number in (1, 3, 5):
        mark = replace(_MARK, generation=number, record=digest(records[number - 1]))
        assert walk(Bucket(*records), "/r/", newest, mark) == Chain()
        assert walk(Bucket(), "/r/", replace(newest, before=((number, mark.record),)), mark) == Chain()
        other = replace(mark, record=_D[9])
        assert "is not the one that was seen here" in walk(Bucket(*records), "/r/", newest, other).broken
    mark = replace(_MARK, generation=2, record=digest(records[1]))
    altered = [*records[:3], records[3] + b" ", *records[4:]]
    assert "record of generation 4 is not the one" in walk(Bucket(*altered), "/r/", newest, mark).broken
    assert "not served here" in walk(Bucket(), "/r/", newest, mark).unknown
    anew = _records(6, root=4)
    begun = replace(newest, record=digest(anew[5]))
    assert "begun anew with generation 4" in walk(Bucket(*anew), "/r/", begun, mark).broken
    old = [b'{"parent": 4}', b'{"parent": 5, "parent_sha256": "%s"}' % digest(b'{"parent": 4}').encode()]
    old = [*records[:4], *old]
    linked = replace(newest, record=digest(old[5]))
    assert "did not link them yet" in walk(Bucket(*old), "/r/", linked, mark).unknown


def test_a_statement_is_read_as_it_was_written_and_nothing_else_is_one() -> None:
    assert read(write(_S)) == _S
    for text in ("{}", "[]", "1", "[" * 100_000, write(_S).replace("repod statement", "rollout")):
        with pytest.raises(Corrupt, match=r"statement\.json is unreadable"):
            read(text)
    held = Envelope(document=write(_S), signature="s")
    assert envelope(held.to_json()) == held
    for data in (b"", b"\xff", b"{}", b"[" * 100_000, b'{"format": 2, "document": "", "signature": ""}'):
        with pytest.raises(Corrupt, match=STATEMENT):
            envelope(data)


@pytest.mark.parametrize(("now", "valid", "fresh"), [(0, 90, True), (29, 90, True), (30, 90, False), (-1, 90, False)])
def test_a_document_is_signed_anew_after_a_third_of_its_time_or_for_another_time(
    now: float, valid: float, fresh: bool
) -> None:
    assert Term(issued=0, expires=90).fresh(now, valid) is fresh
    assert not Term(issued=0, expires=91).fresh(now, valid)


def test_times_are_said_as_people_say_them() -> None:
    assert [span(seconds) for seconds in (0, 119, 120, 7200, 86400, 200_000)] == [
        "0 s", "119 s", "2 min", "2 h", "24 h", "2 d",
    ]  # fmt: skip
