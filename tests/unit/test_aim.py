"""Names that people say become exact builds, of one generation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from repod.client.aim import resolve_aim
from repod.client.fleet import Action, Aim
from repod.client.settings import Repository
from repod.errors import Conflict, NotFound, Unavailable
from repod.office import Row
from repod.package import Nevra

LISTED = [
    "hello-1.0-1.x86_64",
    "hello-1.0-9.x86_64",
    "hello-1.0-10.x86_64",
    "hello-1.0-10.aarch64",
    "hello-1.0-10.src",
    "tool-1:2.0-1.noarch",
    "web-app-3.0-1.noarch",
]
PRINT = "A" * 40


@dataclass
class Listed:
    """A catalogue that lists builds; ``moves``: how often another generation comes while it is asked."""

    builds: Sequence[str]
    number: int | None = 12
    moves: int = 0
    unread: bool = False
    asked: list[str] = field(default_factory=list)

    def generation(self, _repository: str) -> int | None:
        return self.number

    def packages(self, _repository: str, *, name: str = "") -> Sequence[Row]:
        if self.moves and self.number:
            self.moves -= 1
            self.number += 1
        nevras = [Nevra.parse(one) for one in self.builds]
        return [
            Row(package=str(one), name=one.name, evr=one.evr, arch=one.arch, size=1, sha256="0" * 64, path="p")
            for one in nevras
            if name in {"", one.name}
        ]

    def package(self, _repository: str, nevra: str) -> Mapping[str, Any]:
        self.asked.append(nevra)
        digest = None if self.unread else f"{len(self.asked):064x}"
        old = {"listed": False, "header_sha256": "f" * 64}
        return {"builds": [old, {"listed": True, "header_sha256": digest}]}


def aim(catalogue: Listed, *words: str, action: Action = "update", **known: Any) -> Aim:
    return resolve_aim(
        catalogue, "prod", words, action, known=Repository.model_validate(known), key_file=lambda: b"the keys"
    )


def builds(found: Aim) -> list[str]:
    return [str(build.nevra) for build in found.builds]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("hello", ["hello-1.0-10.x86_64", "hello-1.0-10.aarch64"]),
        ("hello-1.0-9", ["hello-1.0-9.x86_64"]),
        ("hello-0:1.0-9", ["hello-1.0-9.x86_64"]),
        ("hello-1.0-10", ["hello-1.0-10.x86_64", "hello-1.0-10.aarch64"]),
        ("hello-1.0-10.aarch64", ["hello-1.0-10.aarch64"]),
        ("tool-1:2.0-1", ["tool-1:2.0-1.noarch"]),
        ("web-app", ["web-app-3.0-1.noarch"]),
        ("web-app-3.0-1", ["web-app-3.0-1.noarch"]),
    ],
)
def test_a_word_means_the_newest_build_or_the_one_it_says_for_each_architecture(word: str, found: list[str]) -> None:
    assert builds(aim(Listed(LISTED), word)) == found


def test_to_downgrade_a_name_is_what_is_listed_below_the_newest() -> None:
    assert builds(aim(Listed(LISTED), "hello", action="downgrade")) == ["hello-1.0-9.x86_64"]
    assert builds(aim(Listed(LISTED), "hello-1.0-1", action="downgrade")) == ["hello-1.0-1.x86_64"]
    with pytest.raises(NotFound, match=r"no build of tool below the newest, only tool-1:2.0-1.noarch; say NAME-EVR"):
        aim(Listed(LISTED), "tool", action="downgrade")


@pytest.mark.parametrize("word", ["helo", "hello-9.9-1", "hello-1.0-9.s390x"])
def test_a_word_that_means_nothing_is_refused_with_what_there_is(word: str) -> None:
    with pytest.raises(NotFound, match=rf"prod lists no '{word}'; .*hello"):
        aim(Listed(LISTED), word)


def test_each_build_has_the_digest_of_the_listed_one_and_the_aim_what_the_settings_say() -> None:
    found = aim(Listed(LISTED), "tool", "web-app", id="prod-el9", bases=["base"])
    assert [build.header_sha256 for build in found.builds] == [f"{1:064x}", f"{2:064x}"]
    assert (found.repository, found.bases, found.generation) == ("prod-el9", ["base"], 12)


def test_a_digest_that_cannot_be_read_stops_the_run_before_it_begins() -> None:
    with pytest.raises(Unavailable, match="cannot read the digest of its header"):
        aim(Listed(LISTED, unread=True), "tool")


def test_a_generation_that_comes_meanwhile_is_looked_at_whole() -> None:
    found = aim(Listed(LISTED, moves=1), "tool")
    assert found.generation == 13
    with pytest.raises(Conflict, match="changed 5 times"):
        aim(Listed(LISTED, moves=99), "tool")


def test_a_repository_that_lists_nothing_yet_says_so() -> None:
    with pytest.raises(NotFound, match="lists nothing yet"):
        aim(Listed([], number=None), "tool")


def test_only_keys_that_the_settings_name_may_be_imported_and_without_them_no_file_is_asked_for() -> None:
    found = aim(Listed(LISTED), "tool", keys=[PRINT])
    assert (found.keys, found.key_file) == ([PRINT], b"the keys")
    found = aim(Listed(LISTED), "tool")
    assert (list(found.keys), found.key_file) == ([], b"")
