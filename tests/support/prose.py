"""Read Markdown, as cells and pages have it: the words, the pictures and the links."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(\s*<?([^\s)>]+)")


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "img":
            self.images.append((values.get("alt", "").strip(), values.get("src", "")))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])


def without_code(markdown: str) -> str:
    """Return the Markdown without its code, fenced or in a line."""
    return _CODE.sub("", _FENCED.sub("", markdown))


def images(markdown: str) -> list[tuple[str, str]]:
    """Return the alt text and the address of each picture, in Markdown or in HTML."""
    text = without_code(markdown)
    found = [(alt.strip(), address) for mark, alt, address in _LINK.findall(text) if mark]
    return found + _Tags(text).images


def broken_links(markdown: str, page: Path) -> list[str]:
    """Return the addresses, of links and pictures, that name a file, or a heading in it, that isn't there."""
    text = without_code(markdown)
    tags = _Tags(text)
    addresses = [address for _, _, address in _LINK.findall(text)]
    addresses += tags.links + [address for _, address in tags.images]
    broken = []
    for address in addresses:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        file = page.parent / unquote(parts.path) if parts.path else page
        if not file.exists() or (parts.fragment and unquote(parts.fragment) not in anchors(file)):
            broken.append(address)
    return broken


def anchors(page: Path) -> set[str]:
    """Return how a link names each heading of a notebook, in JupyterLab, or of a page, on GitHub."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        found = [words for cell in cells for _, words in headings("".join(cell["source"]))]
        return {words.replace("`", "").replace(" ", "-") for words in found}
    found = [re.sub(r"[^\w -]", "", words).lower() for _, words in headings(text)]
    return {words.replace(" ", "-") for words in found}


def headings(markdown: str) -> list[tuple[int, str]]:
    """Return the level and the words of each heading."""
    found = re.findall(r"^(#{1,6})\s+(.+?)\s*#*$", _FENCED.sub("", markdown), re.MULTILINE)
    return [(len(marks), words) for marks, words in found]
