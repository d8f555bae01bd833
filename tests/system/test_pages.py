"""The status pages as people use them: a real daemon with real packages, in a real Chromium.

With the environment variable ``REPOD_SCREENSHOTS`` set to a folder, pictures of all pages are left there.
"""

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from lxml import html
from playwright.sync_api import Page, expect

from tests.lab import processes
from tests.lab.browser import LOOKS, Chromium, Window, chromium
from tests.lab.daemon import Repod
from tests.lab.rpms import changelog, nfpm, quick
from tests.lab.wait import until

_EVIL = """<script>document.title='owned'</script>"'><img src=x onerror="document.title='owned'">"""
_NEVRA = "hello-1.0-2.noarch"
_PAGES: Mapping[str, str] = {
    "overview": "/",
    "repository": "/r/test/",
    "search": "/r/test/?q=hello&order=name",
    "nothing found": "/r/test/?q=nothing",
    "empty": "/r/empty/",
    "build": f"/r/test/p/{_NEVRA}",
    "evil build": "/r/test/p/evil-1.0.0-1.noarch",
    "name": "/r/test/n/hello",
    "generations": "/r/test/generations",
    "generation": "/r/test/generations/2",
    "compare": "/r/test/compare?from=1&to=3",
    "rejected": "/r/test/rejected",
    "none rejected": "/r/empty/rejected",
    "rollouts": "/rollouts",
    "rollout": "/r/test/rollouts/2026-11-26-hello",
    "hosts": "/r/test/hosts",
    "hosts with a package": "/r/test/hosts?package=hello",
    "no hosts": "/r/empty/hosts",
    "not there": "/r/test/p/none-1-1.noarch",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A daemon with pages: ``test`` and ``empty`` are for anyone, ``secret`` for readers alone."""

    repod: Repod
    browser: Chromium
    folder: Path
    tokens: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.repod.url

    def ask(self, path: str, *, token: str = "", method: str = "GET", **more: Any) -> httpx.Response:
        headers = {"Accept": "text/html", **more.pop("headers", {})}
        auth = ("anybody", self.tokens[token]) if token else None
        return httpx.request(method, self.url + path, auth=auth, headers=headers, timeout=60, **more)

    @property
    def generation(self) -> int:
        return int(self.repod.find_events("published", repository="test")[-1]["generation"])


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "hosts").mkdir()
    (folder / "hosts/web1.example.com").write_text(f"{_NEVRA}\n")
    repositories = {
        "test": {"public": True, "retention": {"hosts": "hosts"}},
        "empty": {"public": True, "profile": "sles15"},
        "secret": {},
    }
    settings = {"http": {"access": "readers", "tokens": "tokens.json", "host_names": "open"}}
    repod = Repod(folder, key_file, repositories, settings=settings)
    tokens = {}
    for name, words in {"reader": (), "back": ("--may", "rollback", "--may", "report")}.items():
        done = repod.cli("token add", name, "--may", "read", *words)
        assert done.rc == 0, done.err
        tokens[name] = done.out.strip()
    before = processes.children(os.getpid())
    with chromium() as browser, repod:
        # The browser begins and ends processes as it likes, and the daemon its workers.
        long_lived |= processes.children(os.getpid()) - before
        made = Front(repod=repod, browser=browser, folder=folder, tokens=tokens)
        _fill(made)
        yield made


def _fill(front: Front) -> None:
    """Two builds of a name, one that would like to be a script, one rejected file, a rollout."""
    repod = front.repod
    inbox = repod.inbox("test")
    for release in ("1", "2"):
        quick(inbox, release=release, changelog=changelog(3), requires=["/bin/sh", "libc.so.6 >= 2.34"])
        nevra = f"hello-1.0-{release}.noarch"
        until(lambda: nevra in repod.log.read_text(), 60, f"{nevra} to be taken")  # noqa: B023 - asked at once
        until(lambda: front.ask(f"/r/test/p/{nevra}").status_code == 200, 60, f"{nevra} to be listed")  # noqa: B023
    nfpm(
        inbox,
        "evil",
        "1.0.0",
        description=f"{_EVIL}\n{_EVIL}",
        vendor=_EVIL,
        homepage=f"javascript:alert(1)//{_EVIL}",
        contents={f"/usr/share/evil/{_EVIL.replace('/', '')}": b""},
    )
    (inbox / f"{_EVIL.replace('/', '')}.rpm").write_bytes(b"<html>404</html>")
    quick(repod.inbox("secret"), "hidden")
    until(lambda: front.ask("/r/test/p/evil-1.0.0-1.noarch").status_code == 200, 60, "the evil build to be listed")
    until(lambda: repod.find_events("package rejected"), 60, "the file that is no package to be rejected")
    until(lambda: front.ask("/r/secret/p/hidden-1.0-1.noarch", token="reader").status_code == 200, 60, "the hidden one")
    _report(front)


def _report(front: Front) -> None:
    hosts = [
        {"host": "web1.example.com", "state": "proven", "from": "hello-1.0-1.noarch", "to": _NEVRA, "seconds": 3.5},
        {"host": "web2.example.com", "wave": 1, "state": "failed", "problem": _EVIL, "trouble": "disk-full"},
    ]
    rollout = {
        "id": "2026-11-26-hello",
        "package": "hello",
        "builds": [_NEVRA],
        "group": "web",
        "state": "running",
        "actor": "alice",
        "started": "2026-11-26T03:00:00Z",
        "hosts": hosts,
    }
    answer = httpx.put(
        f"{front.url}/api/v1/repositories/test/rollouts/{rollout['id']}",
        json=rollout,
        headers={"Authorization": f"Bearer {front.tokens['back']}"},
    )
    assert answer.status_code == 200, answer.text
    packages = [{"nevra": "hello-1.0-1.noarch"}, {"nevra": "evil-1.0.0-1.noarch"}, {"nevra": "bash-5-1.x86_64"}]
    body = {"packages": packages, "previous": [{"nevra": "hello-0.9-1.noarch"}]}
    for host in ("web2.example.com", "a-host-with-a-long-name.somewhere.region-1.example.com"):
        answer = httpx.put(
            f"{front.url}/api/v1/repositories/test/hosts/{host}",
            json=body,
            headers={"Authorization": f"Bearer {front.tokens['back']}"},
        )
        assert answer.status_code == 200, answer.text


def _links(answer: httpx.Response) -> Iterator[str]:
    """Where a page leads to on this site."""
    tree = html.fromstring(answer.content)
    for found in tree.xpath("//a/@href | //link/@href | //script/@src"):
        target = urlsplit(urljoin(str(answer.url), found))
        if target.netloc == urlsplit(str(answer.url)).netloc:
            yield target._replace(fragment="").geturl()


def test_no_link_on_any_page_is_broken(front: Front) -> None:
    with httpx.Client(auth=("x", front.tokens["reader"]), headers={"Accept": "text/html"}, timeout=60) as client:
        waiting, seen, titles = [front.url + "/"], set[str](), dict[str, str]()
        while waiting:
            link = waiting.pop()
            if link in seen:
                continue
            seen.add(link)
            answer = client.get(link)
            assert answer.status_code == 200, link
            if "/repos/" not in link and answer.headers["content-type"].startswith("text/html"):
                titles[link] = html.fromstring(answer.content).findtext(".//title")
                waiting += _links(answer)
    assert len(titles) > 20
    paths = {urlsplit(link).path for link in titles}
    assert {"/r/secret/", "/r/test/rejected", "/rollouts", f"/r/test/p/{_NEVRA}", "/r/test/generations/3"} <= paths


@pytest.fixture(scope="module")
def window(front: Front) -> Iterator[Window]:
    """Of who shows nothing."""
    with front.browser.window(front.url) as made:
        yield made


@pytest.mark.parametrize("name", _PAGES)
def test_a_page_is_fit_for_everybody(window: Window, name: str) -> None:
    window.troubles.clear()
    window.page.goto(_PAGES[name])
    expected = "the server responded with a status of 404"
    window.troubles[:] = [one for one in window.troubles if name != "not there" or expected not in one]
    for size, scheme in LOOKS[:2]:
        window.look(size, scheme)
        assert window.faults() == []
    levels = window.headings()
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    window.shoot(name)


def test_a_package_that_would_like_to_be_a_script_is_text(window: Window) -> None:
    for path in ("/r/test/p/evil-1.0.0-1.noarch", "/r/test/", "/r/test/rejected", "/r/test/rollouts/2026-11-26-hello"):
        window.page.goto(path)
        expect(window.page.get_by_text("document.title='owned'").first).to_be_attached()
        assert window.page.evaluate("document.querySelectorAll('main img, main script').length") == 0
        expect(window.page).not_to_have_title("owned")
    window.page.goto("/r/test/p/evil-1.0.0-1.noarch")
    assert window.page.locator("a[href^='javascript:']").count() == 0
    assert window.troubles == []


def test_packages_are_searched_without_scripts(front: Front) -> None:
    with front.browser.window(front.url, scripts=False) as window:
        page = window.page
        page.goto("/")
        page.get_by_role("link", name="test", exact=True).first.click()
        page.get_by_label("Name or summary").fill("hello")
        page.get_by_label("Order").select_option("by name")
        page.get_by_role("button", name="Search").click()
        rows = page.get_by_role("rowheader")
        expect(rows).to_have_text(["hello-1.0-2.noarch", "hello-1.0-1.noarch"])
        page.get_by_label("Name or summary").fill("no such package")
        page.keyboard.press("Enter")
        expect(page.get_by_text("No package matches.")).to_be_visible()
        page.get_by_role("link", name="Show all packages").click()
        expect(rows).to_have_count(3)
        rows.filter(has_text="hello-1.0-2").get_by_role("link").click()
        for text in ("Uploaded as hello-1.0-2.noarch.rpm", "web1.example.com", "libc.so.6 >= 2.34", "change number 1"):
            expect(page.get_by_text(text).first).to_be_visible()
        assert page.get_by_text("zypper install").count() == 0


def test_each_way_to_install_is_shown_without_scripts_and_by_arrow_keys(front: Front) -> None:
    with front.browser.window(front.url, scripts=False) as window:
        page = window.page
        page.goto("/r/empty/")
        expect(page.get_by_text("zypper install PACKAGE")).to_be_visible()
        page.get_by_label("zypper").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_text("&& dnf install PACKAGE")).to_be_visible()
        expect(page.get_by_text("zypper install PACKAGE")).to_be_hidden()


def test_what_is_dropped_in_appears_without_a_reload(front: Front, window: Window) -> None:
    page = window.page
    page.goto("/r/test/?q=later")
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("window.kept = true")
    quick(front.repod.inbox("test"), "later")
    expect(page.get_by_role("link", name="later-1.0-1.noarch")).to_be_visible()
    assert page.evaluate("window.kept")
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    count = page.get_by_role("row").filter(has=page.get_by_role("link", name="empty", exact=True)).get_by_role("cell")
    expect(count.first).to_have_text("0")
    quick(front.repod.inbox("empty"), "first")
    expect(count.first).to_have_text("1")
    assert window.troubles == []


def test_every_control_is_reached_by_the_tabulator_and_seen(window: Window) -> None:
    page = window.page
    page.goto("/r/test/generations/2")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    reached = []
    while True:
        page.keyboard.press("Tab")
        seen = page.evaluate(_FOCUS)
        if seen is None:
            break
        assert seen["outline"] > 0, seen
        reached.append(seen["name"])
    wanted = page.evaluate("document.querySelectorAll('a[href], button, input:not([type=hidden]), textarea').length")
    assert len(reached) == wanted - 1
    assert reached[-3:] == ["why", "token", "step"]


# What has the focus and how wide its outline is; null where nothing of the page has it.
_FOCUS = """() => {
  const there = document.activeElement;
  if (!there || there === document.body) return null;
  return {name: there.name || there.textContent, outline: parseFloat(getComputedStyle(there).outlineWidth)};
}"""


def _roll_back(page: Page, token: str, button: str) -> None:
    page.get_by_label("Reason").fill("hello 2 greets nobody")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name=button).click()


def test_a_repository_is_rolled_back_by_the_form_with_a_token_alone(front: Front) -> None:
    before = front.generation
    with front.browser.window(front.url, scripts=False) as window:
        page = window.page
        page.goto("/r/test/generations/2")
        for token, told in (("wrong", "these credentials are not known"), (front.tokens["reader"], "may not rollback")):
            _roll_back(page, token, "Show what would change")
            expect(page.get_by_role("alert")).to_contain_text("Nothing was changed: ")
            expect(page.get_by_role("alert")).to_contain_text(told)
            expect(page.get_by_label("Reason")).to_have_value("hello 2 greets nobody")
            expect(page.get_by_label("Token")).to_have_value("")
        window.look("phone", "light")
        window.shoot("rollback refused")
        _roll_back(page, front.tokens["back"], "Show what would change")
        expect(page.get_by_role("row").filter(has_text="downgraded")).to_contain_text("hello-1.0-1.noarch")
        window.shoot("rollback preview")
        assert front.ask("/r/test/").text.count(f"generation {before}") == 1
        _roll_back(page, front.tokens["back"], "Publish it")
        expect(page.get_by_role("heading", level=1)).to_contain_text(f"Generation {before + 1}")
        expect(page.get_by_role("status").filter(has_text="Done.")).to_be_visible()
        expect(page.get_by_text("by token back")).to_be_visible()
        window.shoot("rolled back")
        page.goto("/r/test/n/hello")
        expect(page.get_by_text("hello 2 greets nobody").first).to_be_visible()
    shown = [one for one in window.troubles if "status of 403" not in one]
    assert shown == []
    assert front.ask(f"/r/test/generations/{before + 2}").status_code == 404


def test_a_form_that_is_older_than_the_last_publish_shows_what_would_change_now(front: Front) -> None:
    before = front.ask("/r/test/").text
    form = {"token": front.tokens["back"], "why": "late", "step": "run", "on": "1"}
    answer = front.ask("/r/test/generations/2", method="POST", data=form)
    assert answer.status_code == 409
    assert "somebody published meanwhile" in answer.text
    assert front.ask("/r/test/").text.count("published") == before.count("published")


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}]
)
def test_a_form_of_another_site_changes_nothing(front: Front, headers: Mapping[str, str]) -> None:
    form = {"token": front.tokens["back"], "why": "evil", "step": "run", "on": "1"}
    answer = front.ask("/r/test/generations/2", method="POST", data=form, headers=headers)
    assert answer.status_code == 403
    assert "pages of other sites" in answer.text


def test_what_a_browser_sends_by_itself_changes_nothing(front: Front) -> None:
    form = {"token": "", "why": "no token", "step": "run", "on": "1"}
    answer = front.ask("/r/test/generations/2", token="back", method="POST", data=form)
    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer.headers
    assert "the token is missing" in answer.text


def test_pages_show_what_the_visitor_may_read_and_no_more(front: Front) -> None:
    nobody, reader = front.ask("/"), front.ask("/", token="reader")
    assert "secret" not in nobody.text
    assert "secret" in reader.text
    refused = front.ask("/r/secret/")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic")
    assert front.ask("/r/secret/", token="reader").status_code == 200
    assert front.ask("/", headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_a_reader_signs_in_with_a_token_as_the_password(front: Front) -> None:
    with front.browser.window(front.url, credentials=("me", front.tokens["reader"])) as window:
        window.page.goto("/sign-in")
        expect(window.page.get_by_role("link", name="secret", exact=True).first).to_be_visible()
        window.page.goto("/r/secret/")
        expect(window.page.get_by_role("link", name="hidden-1.0-1.noarch")).to_be_visible()
        expect(window.page.locator("#live")).to_have_text("Live")


@pytest.mark.parametrize(
    ("path", "status", "told", "headers"),
    [
        ("/nothing", 404, "To the overview", {}),
        ("/r/none/", 401, "these credentials", {"Authorization": "Bearer nobody"}),
        ("/r/test/generations/999", 404, "there is no generation 999", {}),
        ("/r/test/compare?from=x&to=1", 422, "expected the number of a generation", {}),
        ("/r/test/?order=sideways", 422, "expected order newest or name", {}),
        ("/", 421, "[http] hosts", {"Host": "elsewhere.example"}),
        ("/r/%ff/", 400, "UTF-8", {}),
    ],
)
def test_an_error_is_a_page_that_says_what_to_do(
    front: Front, path: str, status: int, told: str, headers: Mapping[str, str]
) -> None:
    answer = front.ask(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert told.lower() in answer.text.lower()
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_programs_are_told_of_errors_in_their_own_words(front: Front) -> None:
    assert front.ask("/api/v1/nothing").headers["content-type"] == "application/problem+json"
    assert not front.ask("/repos/test/nothing").headers["content-type"].startswith("text/html")
    assert not front.ask("/nothing", headers={"Accept": "*/*"}).headers["content-type"].startswith("text/html")
