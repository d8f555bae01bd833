"""Documents of strangers: nothing in them grows, reads files or the network, or hides behind an encoding."""

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest
import zstandard

from repod.errors import Corrupt
from repod.repodata import comps, modules, strictxml, strictyaml, updateinfo
from repod.repodata.unpack import plain_name, unpack

_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
_BOMB = f'<!DOCTYPE comps [<!ENTITY l0 "ha">{_LAUGHS}]><comps><group><id>&l11;</id></group></comps>'
_FILE = '<!DOCTYPE comps [<!ENTITY f SYSTEM "file:///etc/passwd">]><comps><group><id>&f;</id></group></comps>'
_PARAMETER = '<!DOCTYPE comps [<!ENTITY % f SYSTEM "http://127.0.0.1:9/x"> %f;]><comps/>'
_HIDDEN = '<!-- x --><?p i?><!DOCTYPE comps SYSTEM "a>b" [<!ENTITY a "b">]><comps><group><id>&a;</id></group></comps>'


@pytest.mark.parametrize("check", [comps.check, updateinfo.check])
@pytest.mark.parametrize("text", [_BOMB, _FILE, _PARAMETER, _HIDDEN])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_entities_are_refused_before_anything_expands_or_opens_them(
    check: Callable[[bytes], bytes], text: str, mark: str
) -> None:
    with pytest.raises(Corrupt, match="DOCTYPE defines entities"):
        check((mark + text.replace("comps", "updates") if check is updateinfo.check else mark + text).encode())


@pytest.mark.parametrize(
    "body",
    [
        "<comps><group><id>&later;</id></group></comps>",
        '<comps><group><id>a</id><packagelist><packagereq requires="&later;"/></packagelist></group></comps>',
    ],
)
def test_an_entity_that_a_dtd_might_define_is_refused_though_the_dtd_is_never_read(body: str) -> None:
    with pytest.raises(Corrupt, match="later"):
        comps.check(f'<!DOCTYPE comps SYSTEM "http://127.0.0.1:9/comps.dtd">{body}'.encode())


def test_an_entity_in_an_advisory_beside_a_doctype_is_refused_too() -> None:
    for body in ("<id>a</id><title>&x;</title>", '<id>a</id><issued date="&x;"/>'):
        with pytest.raises(Corrupt, match="x"):
            updateinfo.check(f'<!DOCTYPE updates SYSTEM "u.dtd"><updates><update>{body}</update></updates>'.encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("<comps/>".encode("utf-16"), "expected UTF-8"),
        ("<comps/>".encode("utf-16-le"), "holds a NUL"),
        (b'<?xml version="1.0" encoding="UTF-7"?><comps/>', "found 'UTF-7'"),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><comps/>", "found 'ISO-8859-1'"),
        (b"<comps>\n\xff</comps>", "line 2: expected UTF-8, found the byte 0xff"),
        (b"<comps>\x01</comps>", "not sound XML"),
        (b"<comps>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</comps>", "not sound XML"),
        (b"", "not sound XML"),
    ],
)
def test_what_is_not_plain_utf8_xml_of_sane_depth_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Corrupt, match=r"^it: ") as refused:
        strictxml.parse(data, "comps", "it")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x [b]\nc: *x\n", "line 3: found the alias"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "found the alias"),
        ("a: " + "[" * 40 + "]" * 40, "nests deeper than 32"),
        ("a: " + "[" * 200_000, "maximum nesting depth"),
        ("\n".join(f"{' ' * n}k:" for n in range(200)), "nests deeper than 32"),
        ("a: 1\nb: 2\na: 3\n", "line 4: the key 'a' stands twice"),
        ("[a]: b\n", "expected a text as key"),
        ("a: 'b\n", "not sound YAML"),
        ("\tb: c\n", "line 2: not sound YAML"),
        ("a: \x01\n", "not sound YAML"),
        ("a: b\u2028--- {c: d}\n", "expected one document, found 2"),
    ],
)
def test_yaml_that_grows_or_says_two_things_is_refused_with_its_line(text: str, reason: str) -> None:
    (part,) = strictyaml.split(f"---\n{text}".encode(), "it")
    with pytest.raises(Corrupt, match=r"^it: ") as refused:
        strictyaml.parse(part, "it")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_long_prolog_is_read_in_one_pass() -> None:
    assert strictxml.parse(b"<!-- a --><?b?> " * 20_000 + b"<comps/>", "comps", "it").tag == "comps"


def test_yaml_keeps_versions_as_they_are_written() -> None:
    (part,) = strictyaml.split(b"stream: 1.10\nversion: 0010\nyes: no\nlist: [1, {a: }]\n", "it")
    assert strictyaml.parse(part, "it") == {"stream": "1.10", "version": "0010", "yes": "no", "list": ["1", {"a": ""}]}


def test_a_stream_is_cut_at_marks_that_begin_a_line_and_nowhere_else() -> None:
    data = b"# ours\n---\na: |\n  ---\n  ...\n---- : x\n...\n# between\n\n---\r\nb: c\r\n---"
    parts = strictyaml.split(data, "it")
    assert [part.text for part in parts] == ["---\na: |\n  ---\n  ...\n---- : x\n", "---\r\nb: c\r\n", "---\n"]
    assert [part.line for part in parts] == [2, 10, 12]


@pytest.mark.parametrize("data", [b"---\na: b\n...\nc: d\n", b"---\na: b\n...\n%YAML 1.1\n---\nc: d\n"])
def test_text_between_the_documents_of_a_stream_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"line 3: expected nothing between"):
        modules.check(data)


_PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
}


@pytest.mark.parametrize("ending", _PACK)
def test_packed_files_are_unpacked_frame_after_frame_to_a_bounded_size(ending: str) -> None:
    pack = _PACK[ending]
    name, text = f"comps.xml.{ending}", b"hello" * 1000
    assert plain_name(name) == "comps.xml"
    assert unpack(name, pack(text) + pack(b"more"), 5004) == text + b"more"
    with pytest.raises(Corrupt, match="at most 4999 bytes"):
        unpack(name, pack(text), 4999)
    for broken in (pack(text)[:-5], b"plain", pack(text) + b"tail", b""):
        with pytest.raises(Corrupt, match="cannot be unpacked"):
            unpack(name, broken, 5004)


@pytest.mark.parametrize("ending", _PACK)
def test_a_bomb_is_given_up_long_before_it_is_unpacked(ending: str) -> None:
    bomb = _PACK[ending](bytes(16 << 20))
    with pytest.raises(Corrupt, match="at most 1048576 bytes"):
        unpack(f"x.{ending}", bomb, 1 << 20)


def test_a_file_whose_name_says_nothing_is_taken_as_it_is() -> None:
    assert unpack("comps.xml", b"\x1f\x8b", 10) == b"\x1f\x8b"
    assert plain_name("gz") == "gz"
