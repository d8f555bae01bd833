"""What comes back from processes that read strangers' files: values, and nothing that is called."""

import os
import pickle
import shutil
import subprocess
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repod.confinement.answers import Dishonest, read
from repod.errors import Corrupt
from repod.package import Entry, Fault, Head, Nevra, Package, sha256, store_path

_MODULES = ("repod.package", "repod.doors")
_NEVRA = Nevra(name="a", epoch=0, version="1", release="1", arch="noarch")


class _Calls:
    """A pickle that says: call this."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> Any:
        return self._reduced


@pytest.mark.parametrize(
    "value",
    [None, 1, "text", b"bytes", [["x"]], {"a": (1.5, True)}, {1, 2}, frozenset({"y"}), Path("/a/b"), _NEVRA],
)
def test_plain_data_and_values_of_the_named_modules_come_through(value: object) -> None:
    assert read(pickle.dumps((True, value)), _MODULES) == (True, value)


def test_errors_of_python_and_of_repod_come_through() -> None:
    for error in (RuntimeError("no"), FileNotFoundError(2, "gone", "/x"), Corrupt("it is")):
        done, found = read(pickle.dumps((False, error)), _MODULES)
        assert (done, type(found), str(found)) == (False, type(error), str(error))


@pytest.mark.parametrize(
    "function", [os.system, subprocess.Popen, shutil.rmtree, eval, getattr, Path.write_text, print, __import__, open]
)
def test_nothing_is_called_whatever_an_answer_says(function: Any, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(Dishonest, match="which no answer holds"):
        read(pickle.dumps((True, _Calls(function, f"touch {made}"))), _MODULES)
    assert not made.exists()


@pytest.mark.parametrize("text", ["repod.preload\nforget_credentials", "repod.package\nre", "repod.package\nsha256"])
def test_of_a_named_module_only_classes_of_values_are_had_and_no_other_module_is_imported(text: str) -> None:
    with pytest.raises(Dishonest, match="which no answer holds"):
        read(b"c" + text.encode() + b"\n.", _MODULES)


def test_a_value_of_a_module_that_is_not_named_does_not_come_through() -> None:
    for value in (Fault(code="x", text="y"), OrderedDict(a=1)):
        with pytest.raises(Dishonest):
            read(pickle.dumps((True, value)), ())


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"no pickle", pickle.dumps(None), pickle.dumps((1, 2, 3)), pickle.dumps((False, "no error"))],
)
def test_what_is_no_answer_is_told_as_such(data: bytes) -> None:
    with pytest.raises(Dishonest, match=r"cannot be read|neither a result nor an error"):
        read(data, _MODULES)


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()])
def test_an_answer_never_ends_who_reads_it(error: BaseException) -> None:
    with pytest.raises(Dishonest):
        read(pickle.dumps((False, error)), _MODULES)


def test_a_value_comes_back_with_values_of_its_kind_only() -> None:
    """What stands in its fields is what these are for: text is no number, a NEVRA no text, however deep it lies."""
    digest = sha256("0" * 64)
    good = Package(nevra=_NEVRA, pkgid=digest, size=1, href=store_path("Packages/a.rpm"))
    whole = Entry(package=good, primary=b"p", filelists=b"f", other=b"o")
    assert read(pickle.dumps((True, [whole])), _MODULES) == (True, [whole])
    for wrong, where in (
        (replace(whole, package="text"), r"Entry\.package"),
        (replace(whole, package=replace(good, size=True)), r"Package\.size"),
        ({"deep": [(replace(_NEVRA, name=b"bytes"),)]}, r"Nevra\.name"),
        (Head(header_sha256=digest, signatures=["text"]), r"Head\.signatures"),  # type: ignore[list-item]
    ):
        with pytest.raises(Dishonest, match=f"something else in {where}"):
            read(pickle.dumps((True, wrong)), _MODULES)
