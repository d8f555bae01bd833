"""comps.xml is read strictly and carried byte for byte."""

import pytest

from repod.errors import Corrupt
from repod.repodata import comps

_GROUP = (
    "<group><id>{0}</id><name>Web</name><packagelist>"
    '<packagereq type="mandatory">hello</packagereq>'
    '<packagereq type="conditional" requires="other">more</packagereq>'
    "<packagereq>plain</packagereq></packagelist></group>"
)
_DOCTYPE = '<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">'


def _comps(*inside: str, prolog: str = "") -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{prolog}\n<comps>\n{chr(10).join(inside)}\n</comps>'.encode()


def test_a_sound_document_is_taken_byte_for_byte_with_the_doctype_that_all_of_them_have() -> None:
    data = _comps(
        "<!-- ours -->",
        _GROUP.format("web"),
        "<category><id>web</id></category>",
        "<environment><id>server</id></environment>",
        "<langpacks/>",
        prolog=_DOCTYPE,
    )
    assert comps.check(data) is data


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("<group><name>x</name></group>", "line 4: <group> has no <id>"),
        (_GROUP.format("a") + "\n" + _GROUP.format("a"), "line 5: group 'a' stands already in line 4"),
        ("<groups/>", "line 4: expected group, environment"),
        (_GROUP.format("a").replace("mandatory", "must"), "found 'must'"),
        (_GROUP.format("a").replace(">hello<", "> <"), "a package of group 'a' has no name"),
        (_GROUP.format("a").replace(' requires="other"', ""), "does not say on what"),
        ("<group>", "line 5: not sound XML"),
        ("<group><id>&who;</id></group>", "line 4: not sound XML: Entity 'who' not defined"),
    ],
)
def test_what_dnf_would_misread_is_refused_with_its_line(inside: str, reason: str) -> None:
    with pytest.raises(Corrupt, match=r"comps\.xml") as refused:
        comps.check(_comps(inside))
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_document_under_the_name_is_refused() -> None:
    with pytest.raises(Corrupt, match="line 1: expected <comps>, found <updates>"):
        comps.check(b"<updates/>")


def test_whatever_the_parser_says_is_told_in_one_line() -> None:
    with pytest.raises(Corrupt, match=r"^comps\.xml: line 1: not sound XML: .*limit exceeded.*") as raised:
        comps.check(b"<comps>" + b" " * (11 << 20) + b"</comps>")
    assert "\n" not in str(raised.value)
