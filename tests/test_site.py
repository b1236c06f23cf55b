"""The site that mkdocs makes of the pages: whole, and loading nothing from anybody but itself."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser

import pytest

from conftest import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "mkdocs.yml").is_file(), reason="the site's sources are out of the way")

LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "audio": "src", "video": "src"}
"""What a browser fetches as it shows a page; of `link` that depends on its `rel`."""

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Loads(HTMLParser):
    """What a page makes a browser fetch, and the classes of its elements."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.classes = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.classes |= set((values.get("class") or "").split())
        if tag in LOADING and values.get(LOADING[tag]):
            self.found.append(values[LOADING[tag]])
        if tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            self.found.append(values["href"])


@pytest.fixture(scope="module")
def site(source_root, tmp_path_factory):
    """The built site; a warning of mkdocs is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=source_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages(site):
    """The pages of the site, by their path."""
    return {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}


def test_every_page_of_the_repository_is_there(site):
    """Every page of `docs/`, the Collector's and the contract's have their place on the site."""
    names = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}

    built = set(pages(site))

    assert {f"{name}/index.html" for name in names} <= built
    assert {"index.html", "collector/index.html", "tests/contract/index.html", "examples/testing/index.html"} <= built


def test_no_page_loads_anything_from_elsewhere(site):
    """No script, style, font or picture comes from another host, and the theme finds nothing to ask others about."""
    loads = {name: Loads(text) for name, text in pages(site).items()}

    assert sum(len(found.found) for found in loads.values()) > 3 * len(loads)
    assert {url for found in loads.values() for url in found.found if re.match(r"(?:https?:)?//", url)} == set()
    # The theme's script fetches Mermaid for the first, and asks GitHub for the second.
    assert [name for name, found in loads.items() if found.classes & {"mermaid", "md-source"}] == []
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert styles
    assert [style for style in styles if re.search(r"url\(\s*['\"]?(?:https?:)?//|@import", style)] == []


def test_every_link_of_the_site_leads_somewhere(site):
    """A link within the site leads to a file of it."""
    broken = []
    for name, text in pages(site).items():
        for link in re.findall(r'<a[^>]* href="([^"#?]+)', text):
            if not re.match(r"[a-z]+:", link) and name != "404.html":
                target = (site / name).parent / link
                broken += [] if target.is_file() or (target / "index.html").is_file() else [f"{name}: {link}"]

    assert broken == []


def test_a_diagram_is_shown_as_text(site):
    """The architecture's diagram is there to read, although nothing draws it."""
    text = re.sub(r"<[^>]+>", "", pages(site)["architecture/index.html"])

    assert "flowchart LR" in text


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the path")
def test_a_real_browser_asks_nobody_else(site):
    """Chromium opens every page, with its scripts: it asks the site alone, and no script fails."""
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}/"
        asked, failed = set(), []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("request", lambda request: asked.add(request.url))
            page.on("pageerror", lambda error: failed.append(str(error)))
            for name in sorted(pages(site)):
                page.goto(here + name, wait_until="networkidle")
            browser.close()
        server.shutdown()

    assert {here + name for name in pages(site)} < asked
    assert [url for url in asked if not url.startswith((here, "data:"))] == []
    assert failed == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_arguments):
        """Say nothing."""
