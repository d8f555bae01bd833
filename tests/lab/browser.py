"""A real Chromium, and what a page must be like in it."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

_CHROMIUM = "/usr/bin/chromium"
_SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
_SCREENSHOTS = "REPOD_SCREENSHOTS"
_GRAVE = {"serious", "critical"}

Size = Literal["desktop", "phone"]
Scheme = Literal["light", "dark"]
Look = tuple[Size, Scheme]
LOOKS: Sequence[Look] = (("desktop", "light"), ("phone", "dark"), ("phone", "light"), ("desktop", "dark"))
"""How pages are looked at; the first two have every colour and every size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of a browser. ``troubles``: what its console complained of, and what it asked of other hosts."""

    page: Page
    troubles: list[str]

    def look(self, size: Size, scheme: Scheme) -> None:
        """Look at the page so."""
        width, height = _SIZES[size]
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme)

    def faults(self) -> Sequence[str]:
        """What is wrong with the page as it is looked at now, for everybody who may use it."""
        width = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        wide = [f"it is {width} pixels wider than the window"] if width > 0 else []
        return [*wide, *self._axe(), *self.troubles]

    def _axe(self) -> Iterator[str]:
        for violation in Axe().run(self.page).response["violations"]:
            if violation["impact"] in _GRAVE:
                places = ", ".join(node["html"][:120] for node in violation["nodes"][:3])
                yield f"axe, {violation['id']}: {violation['help']}: {places}"

    def headings(self) -> Sequence[int]:
        """The levels of the headings, in order."""
        return list(self.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))"))

    def shoot(self, name: str) -> None:
        """Pictures of the page, where the environment variable REPOD_SCREENSHOTS names a folder for such."""
        folder = os.environ.get(_SCREENSHOTS)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            file = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
            for size, scheme in LOOKS:
                self.look(size, scheme)
                self.page.screenshot(path=Path(folder, f"{file}-{size}-{scheme}.png"), full_page=True)


def _watch(page: Page, here: str) -> list[str]:
    """The troubles of a page from now on; ``here`` is the host that may be asked."""
    troubles: list[str] = []

    def hear(said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            troubles.append(f"console: {said.text} ({said.location.get('url', '')})")

    def see(asked: Request) -> None:
        if urlsplit(asked.url).netloc != here:
            troubles.append(f"asked of another host: {asked.url}")

    page.on("console", hear)
    page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
    page.on("request", see)
    return troubles


class Chromium:
    """One browser; each window has nothing remembered."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    @contextmanager
    def window(
        self, url: str, *, scripts: bool = True, credentials: tuple[str, str] | None = None, **more: Any
    ) -> Iterator[Window]:
        """A window; paths that are opened in it are those of ``url``."""
        if credentials:
            more["http_credentials"] = {"username": credentials[0], "password": credentials[1]}
        context = self._browser.new_context(base_url=url, java_script_enabled=scripts, **more)
        try:
            context.set_default_timeout(60_000)
            page = context.new_page()
            window = Window(page=page, troubles=_watch(page, urlsplit(url).netloc))
            window.look(*LOOKS[0])
            yield window
        finally:
            context.close()


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Debian's chromium, without a screen."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        try:
            yield Chromium(browser)
        finally:
            browser.close()
