"""A real Chromium, and what a page must be like in it."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

_CHROMIUM = "/usr/bin/chromium"
_SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
_SCREENSHOTS = "REPOD_SCREENSHOTS"
_GRAVE = {"serious", "critical"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A page that is looked at. ``troubles``: what its console said, and what it asked of other hosts."""

    page: Page
    look: str
    troubles: list[str] = field(default_factory=list)

    def faults(self) -> Sequence[str]:
        """What is wrong with the page as it is now, for everybody who may use it."""
        found = [f"axe: {fault}" for fault in self._axe()]
        width = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if width > 0:
            found.append(f"it is {width} pixels wider than the window")
        return [*found, *self.troubles]

    def _axe(self) -> Iterator[str]:
        for violation in Axe().run(self.page).response["violations"]:
            if violation["impact"] in _GRAVE:
                places = ", ".join(node["html"][:120] for node in violation["nodes"][:3])
                yield f"{violation['id']} ({violation['help']}): {places}"

    def shoot(self, name: str) -> None:
        """A picture of the page, where the environment variable REPOD_SCREENSHOTS names a folder for such."""
        folder = os.environ.get(_SCREENSHOTS)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            file = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")[:80]
            self.page.screenshot(path=Path(folder, f"{file}-{self.look}.png"), full_page=True)


class Chromium:
    """One browser; each sight is a window of its own, with nothing remembered."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    @contextmanager
    def sight(
        self,
        url: str,
        size: str = "desktop",
        scheme: str = "light",
        *,
        scripts: bool = True,
        credentials: tuple[str, str] | None = None,
        **more: Any,
    ) -> Iterator[Sight]:
        """A window on what is served at ``url``; paths that are opened in it are relative to that."""
        width, height = _SIZES[size]
        if credentials:
            more["http_credentials"] = {"username": credentials[0], "password": credentials[1]}
        context = self._browser.new_context(
            base_url=url,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=scripts,
            **more,
        )
        context.set_default_timeout(15_000)
        page = context.new_page()
        sight = Sight(page=page, look=f"{size}-{scheme}")
        here = urlsplit(url).netloc
        page.on("console", lambda said: said.type == "error" and sight.troubles.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: sight.troubles.append(f"script: {error}"))
        page.on(
            "request",
            lambda asked: urlsplit(asked.url).netloc == here or sight.troubles.append(f"asked of others: {asked.url}"),
        )
        try:
            yield sight
        finally:
            context.close()


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Debian's chromium, without a window."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        try:
            yield Chromium(browser)
        finally:
            browser.close()
