"""What the built site must be: readable without a network, with links that lead somewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""What a page loads by itself, by tag."""
_LOADED_RELATIONS = {"stylesheet", "preload", "icon", "preconnect", "dns-prefetch", "modulepreload"}


class _Page(HTMLParser):
    """Notes what a page loads, where its links lead, and what can be linked to in it."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if found.get("data-md-component") == "source":
            self.loaded.append("https://api.github.com")  # the theme's script asks for stars
        if tag in _LOADED and found.get(_LOADED[tag]):
            self.loaded.append(found[_LOADED[tag]])
        if tag == "link" and _LOADED_RELATIONS & set(found.get("rel", "").split()):
            self.loaded.append(found.get("href", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


def problems_of(site: Path) -> list[str]:
    """Return what is wrong with a built site, a line each."""
    pages = {path: _read(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    problems = [] if pages else [f"{site} has no pages"]
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        for url in page.loaded:
            if _is_elsewhere(url):
                problems.append(f"{name} loads {url}: it could not be read without a network")
            elif not url.startswith("data:") and not _target(path, url).exists():
                problems.append(f"{name} loads {url}, which is not there")
        for link in page.links:
            problems += _broken(site, path, link, pages)
    search = site / "search" / "search_index.json"
    if search.exists() and not search.with_suffix(".js").exists():
        problems.append("the search needs a server: search_index.js is not there")
    styles = [path for path in site.rglob("*.css") if "url(http" in path.read_text("utf-8")]
    return problems + [f"{path.name} loads something from elsewhere" for path in styles]


def _broken(site: Path, path: Path, link: str, pages: dict[Path, _Page]) -> list[str]:
    name = path.relative_to(site).as_posix()
    if _is_elsewhere(link) or link.startswith(("mailto:", "data:")):
        return []
    parts = urlsplit(link)
    target = _target(path, link) if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.exists():
        return [f"{name} links to {link}, which is not there"]
    anchor = unquote(parts.fragment)
    is_there = not anchor or target not in pages or anchor in pages[target].anchors
    return [] if is_there or anchor.startswith("__") else [f"{name}: {link} has no such heading"]


def _is_elsewhere(url: str) -> bool:
    return url.startswith(("http://", "https://", "//"))


def _target(page: Path, url: str) -> Path:
    return (page.parent / unquote(urlsplit(url).path)).resolve()


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    return page
