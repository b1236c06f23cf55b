"""
Makes the site of the repository's pages: brings in those that live beside what they are about, and turns each link.

mkdocs loads this file as a hook; `mkdocs.yml` lists the pages. A page may link to any file or folder of the repository,
as readers of the repository do: what lies outside of `docs/` keeps its path on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ("collector/README.md", "collector/*/README.md", "tests/contract/README.md")
EXAMPLES = ("docs/examples/testing", "docs/examples/home_assistant")
"""Folders that a page links to; on the site each is one page that shows its files."""

LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]+)")
MERMAID = re.compile(r"^```mermaid$", re.MULTILINE)
FOREIGN_PICTURE = re.compile(r"!\[([^\]]*)\]\(https?:[^)]*\)")
LANGUAGES = {".py": "python", ".json": "json", ".yaml": "yaml"}


def place_on_site(path: str) -> str:
    """Return where a file of the repository lies on the site."""
    return path.removeprefix("docs/")


def in_repository(page: str) -> str:
    """Return which file of the repository a page of the site is."""
    return page if (ROOT / page).is_file() else f"docs/{page}"


def targets(text: str, path: str) -> list[str]:
    """Return what the page at `path` links to in the repository."""
    return [posixpath.normpath(posixpath.join(posixpath.dirname(path), link[1])) for link in LINK.findall(text)]


def with_links_of_the_site(text: str, page: str) -> str:
    """Return the text of a page with each link to the repository leading to the same thing on the site."""
    path = in_repository(page)

    def turned(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[2]))
        if target in EXAMPLES or any(target.startswith(f"{example}/") for example in EXAMPLES):
            target = next(example for example in EXAMPLES if target.startswith(example)) + "/index.md"
        return match[1] + posixpath.relpath(place_on_site(target), posixpath.dirname(page) or ".")

    return LINK.sub(turned, text)


def shown(folder: str) -> str:
    """Return a page that shows each file of an example."""
    parts = [f"# {folder.removeprefix('docs/')}\n"]
    for path in sorted((ROOT / folder).rglob("*")):
        if path.is_file() and path.suffix in LANGUAGES:
            name = path.relative_to(ROOT / folder).as_posix()
            parts.append(
                f"## {name}\n\n```{LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8').rstrip()}\n```\n"
            )
    return "\n".join(parts)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of `docs/`, what they and the others link to there, and the examples."""
    pages = sorted(path.relative_to(ROOT).as_posix() for pattern in OUTSIDE for path in ROOT.glob(pattern))
    inside = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    linked = {
        target for path in [*inside, *pages] for target in targets((ROOT / path).read_text(encoding="utf-8"), path)
    }
    others = [path for path in sorted(linked) if not path.startswith("docs/") and (ROOT / path).is_file()]
    for path in dict.fromkeys([*pages, *others]):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    for folder in EXAMPLES:
        for file in [file for file in files if file.src_uri.startswith(f"{place_on_site(folder)}/")]:
            files.remove(file)
        files.append(File.generated(config, f"{place_on_site(folder)}/index.md", content=shown(folder)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - mkdocs
    """Turn the links; show as text what a reader's browser would fetch from elsewhere: badges, and Mermaid's script."""
    return FOREIGN_PICTURE.sub(r"\1", MERMAID.sub("```text", with_links_of_the_site(markdown, page.file.src_uri)))
