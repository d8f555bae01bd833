"""The front page as HTML: whatever packages are called, it says that and nothing else, and its links lead there."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote, urljoin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree, html

from repod.frontpage.render import render, template_digest
from repod.office import Named, Names, Row
from repod.welcome import Mark, Place, Welcome, mark

PLACE = Place(
    repository="el9-prod",
    url="https://packages.example.com/el9-prod/",
    hosts="RHEL 9",
    config="el9-prod.repo",
    repo="[el9-prod]\ngpgcheck=1\nrepo_gpgcheck=1\n",
    key="RPM-GPG-KEY-el9-prod",
    fingerprints=["B60E4D74CDE2B255DC68E0C677D19C569883220E"],
)
MARK = Mark(generation=42, state="ab" * 32)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "&lt;&amp;",
    "{{ at.url }}",
    "'; rm -rf /",
    "]]>",
)


def named(name: str = "hello", path: str = "Packages/h/hello-1.0-1.noarch.rpm", summary: str = "A package") -> Named:
    row = Row(
        package=f"{name}-1.0-1.noarch",
        name=name,
        evr="1.0-1",
        arch="noarch",
        size=1,
        sha256="0" * 64,
        path=path,
        summary=summary,
        since="2026-11-26T04:04:06Z",
    )
    return Named(newest=row, builds=3, arches=["noarch"])


def welcome(*rows: Named, place: Place = PLACE, total: int = 0) -> Welcome:
    names = Names(rows=rows, total=total or len(rows), packages=12345, generation=42)
    return Welcome(place=place, mark=MARK, published="2026-11-26T04:04:06Z", names=names)


def page(one: Welcome) -> etree._Element:
    return html.document_fromstring(render(one).decode())


def texts(tree: etree._Element, path: str) -> Sequence[str]:
    return ["".join(element.itertext()) for element in tree.iterfind(path)]


def shape(tree: etree._Element) -> Sequence[tuple[str, Sequence[str]]]:
    """Every element and its attributes, without their values."""
    return [(str(element.tag), sorted(element.attrib)) for element in tree.iter()]


# What XML can hold, and therefore metadata; what HTML itself changes in text is left out.
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda text: text.strip() == text and "\ufffe" not in text and "\uffff" not in text
)


@settings(max_examples=150, deadline=None)
@given(name=_TEXT | st.sampled_from(HOSTILE), summary=_TEXT | st.sampled_from(HOSTILE), path=_TEXT)
def test_whatever_a_package_is_called_the_page_has_the_same_elements_and_says_it(
    name: str, summary: str, path: str
) -> None:
    tree = page(welcome(named(name, f"Packages/{path}", summary)))
    assert shape(tree) == shape(page(welcome(named())))
    assert texts(tree, ".//tbody//strong") == [name]
    assert texts(tree, ".//tbody//td[1]/small") == [summary]


@settings(max_examples=150, deadline=None)
@given(path=_TEXT.filter(lambda text: "/" not in text and text not in {".", ".."}))
def test_a_link_leads_to_the_file_encoded_once_from_wherever_the_page_was_opened(path: str) -> None:
    """C063: names are raw inside and encoded once at the border."""
    (link,) = page(welcome(named(path=f"Packages/h/{path}"))).findall(".//tbody//a")
    for base in ("https://h.example/x/", "https://h.example/x/index.html", "http://b.s3-website.example/"):
        target = urljoin(base, link.get("href"))
        assert target.startswith(urljoin(base, "Packages/h/"))
        assert unquote(target.removeprefix(urljoin(base, "Packages/h/"))) == path
        assert re.fullmatch(r"[A-Za-z0-9_.~%-]+", target.removeprefix(urljoin(base, "Packages/h/")))


def test_what_s3_or_a_browser_would_take_for_something_else_is_encoded() -> None:
    tree = page(welcome(named(path="Packages/l/lib++-1.0~rc1^git2-1.noarch.rpm")))
    assert tree.find(".//tbody//a").get("href") == "Packages/l/lib%2B%2B-1.0~rc1%5Egit2-1.noarch.rpm"


def test_each_tool_has_one_line_with_the_url_of_the_settings_and_both_checks_are_named() -> None:
    tree = page(welcome(named("hello"), named("other")))
    said = dict(zip(texts(tree, ".//dl[@class='ways']/dt"), texts(tree, ".//dl[@class='ways']/dd"), strict=True))
    url = "https://packages.example.com/el9-prod/el9-prod.repo"
    assert {tool: line.strip() for tool, line in said.items()} == {
        "dnf": f"curl -fsSo /etc/yum.repos.d/el9-prod.repo {url} && dnf install hello",
        "zypper": f"curl -fsSo /etc/zypp/repos.d/el9-prod.repo {url} && zypper install hello",
        "yum": f"curl -fsSo /etc/yum.repos.d/el9-prod.repo {url} && yum install hello",
    }
    everything = " ".join("".join(tree.itertext()).split())
    assert "gpgcheck=1" in everything
    assert "repo_gpgcheck=1" in everything
    assert "B60E 4D74 CDE2 B255 DC68 E0C6 77D1 9C56 9883 220E" in everything
    assert {link.get("href") for link in tree.iterfind(".//section[1]//a")} == {"el9-prod.repo", "RPM-GPG-KEY-el9-prod"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_line_to_be_copied_gives_the_shell_one_word_for_a_name(name: str) -> None:
    for line in texts(page(welcome(named(name))), ".//dl[@class='ways']/dd"):
        assert shlex.split(line.strip())[-1] == name


def test_hosts_of_a_bucket_are_told_what_they_need_and_readers_who_must_show_who_they_are_how() -> None:
    bucket = page(welcome(named(), place=replace(PLACE, url="s3://bucket/el9/")))
    assert "aws s3 cp s3://bucket/el9/el9-prod.repo" in "".join(bucket.itertext())
    assert "repod-s3" in "".join(bucket.itertext())
    assert "username=" not in "".join(page(welcome(named())).itertext())
    assert "username=" in "".join(page(welcome(named(), place=replace(PLACE, restricted=True))).itertext())


def test_all_keys_are_named_while_one_takes_the_place_of_another() -> None:
    place = replace(PLACE, fingerprints=["AB" * 20, "CD" * 20])
    said = texts(page(welcome(named(), place=place)), ".//p[@class='print']")
    assert [text.replace(" ", "").strip() for text in said] == ["AB" * 20, "CD" * 20]


def test_a_long_list_says_how_much_of_it_is_shown_and_how_all_is_listed() -> None:
    tree = page(welcome(named(), named("other"), total=4321))
    said = " ".join("".join(tree.itertext()).split())
    assert "The 2 names of 4,321 that changed last" in said
    assert "dnf --disablerepo='*' --enablerepo=el9-prod list --showduplicates" in said


def test_a_repository_without_packages_has_a_page_too() -> None:
    tree = page(welcome())
    assert tree.find(".//table") is None
    assert "None yet." in "".join(tree.itertext())


def test_equal_values_give_equal_bytes_and_the_page_is_known_again() -> None:
    assert render(welcome(named())) == render(welcome(named()))
    assert mark(render(welcome(named()))) == MARK
    assert re.fullmatch(r"[0-9a-f]{64}", template_digest())


def test_a_package_cannot_make_a_page_look_like_one_of_another_generation() -> None:
    forged = str(Mark(generation=99, state="0" * 64))
    assert mark(render(welcome(named(summary=f'<meta name="repod" content="{forged}">')))) == MARK


def test_nothing_is_fetched_from_elsewhere_and_no_script_is_in_it() -> None:
    tree = page(welcome(named()))
    assert [element.tag for element in tree.iter("script", "link", "img", "iframe", "object")] == []
    assert not re.search(r"url\(|@import", render(welcome(named())).decode())
    (policy,) = [one.get("content") for one in tree.iterfind(".//meta") if one.get("http-equiv")]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
