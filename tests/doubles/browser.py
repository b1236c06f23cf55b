"""
A real Chromium: the one that is here, else Debian's, installed by the tests where they may, else a skip.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from doubles.debian import found_or_installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""The first is Debian's package too."""


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A browser that ends with the block."""
    path = found_or_installed(*NAMES)
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, timeout=120_000)
        try:
            yield started
        finally:
            started.close()


class Visit:
    """A page opened from disk by somebody: what it asked for, got past its policy and complained of is kept."""

    def __init__(self, browser: Any, path: Path, *, width: int = 1100, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.context.set_default_timeout(60_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.let_out: list[str] = []
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url = path.as_uri()
        self.context.route("**/*", self._let_out)
        self.page.goto(self.url)

    def _let_out(self, route: Any) -> None:
        """What the page's own policy has not refused comes here, and no further."""
        self.let_out.append(route.request.url)
        if route.request.url == self.url:
            route.continue_()
        else:
            route.abort()

    def texts(self, selector: str) -> list[str]:
        """The text of each element."""
        return [text.strip() for text in self.page.locator(selector).all_text_contents()]

    def section(self, title: str) -> Any:
        """The section of this heading."""
        heading = self.page.get_by_role("heading", name=title, exact=True)
        return self.page.locator("section.panel").filter(has=heading)

    def rows(self, title: str) -> list[list[str]]:
        """The table behind the charts of a section, row by row."""
        rows = self.section(title).locator("tbody tr")
        script = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        found: list[list[str]] = rows.evaluate_all(script)
        return found

    def figures(self) -> dict[str, str]:
        """The key figures by their names."""
        return dict(zip(self.texts(".figures dt"), self.texts(".figures dd"), strict=True))

    def is_wider_than_the_window(self) -> bool:
        """Whether one has to scroll sideways."""
        found: bool = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return found
