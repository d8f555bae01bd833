"""The statement of a repository: who makes it in tests, and what it says, read without repod's code."""

import hashlib
import json
from typing import Any

from repod.doors import Clock, Signer, Store
from repod.errors import NotFound
from repod.package import StorePath
from repod.sealing import Seal
from repod.stating import Statements
from tests.lab.fakes import armor, dearmor, verifies

PLACE = StorePath("repodata/statement.json")
VALID = 2 * 86400.0
NAME = "site"


def statements(store: Store, signer: Signer, clock: Clock, *, name: str = NAME, valid: float = VALID) -> Statements:
    """What says what is current, signed by a signer of ``fakes``."""
    seal = Seal(
        repository=name,
        signer=signer,
        keys=[signer.fingerprint],
        armor=armor,
        proves=lambda keys, data, signed: any(verifies(key, data, dearmor(signed)) for key in keys.splitlines()),
        valid=valid,
        clock=clock,
    )
    return Statements(seal, store)


def said(store: Store, key: bytes) -> dict[str, Any] | None:
    """The document, its signature proven; None where there is none."""
    try:
        held = json.loads(store.read(PLACE).data)
    except NotFound:
        return None
    assert verifies(key, held["document"].encode(), dearmor(held["signature"].encode()))
    document: dict[str, Any] = json.loads(held["document"])
    return document


def number(store: Store) -> int:
    """Of which generation it is; 0 where there is none."""
    try:
        return int(json.loads(json.loads(store.read(PLACE).data)["document"])["generation"])
    except NotFound:
        return 0


def assert_said(store: Store, key: bytes, generation: int) -> None:
    """It is about that generation: its record and its indexes, to the byte."""
    found = said(store, key)
    assert found is not None
    assert found["generation"] == generation
    places = {
        "record": f".repod/generations/{generation}.json",
        "repomd": "repodata/repomd.xml",
        "frozen_repomd": f"generations/{generation}/repodata/repomd.xml",
    }
    for what, path in places.items():
        assert found[what] == hashlib.sha256(store.read(StorePath(path)).data).hexdigest(), what
