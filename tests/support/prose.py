"""Read Markdown, as cells and pages have it: the words, the pictures and the links."""

from __future__ import annotations

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


def broken_links(markdown: str, folder: Path) -> list[str]:
    """Return the addresses, of links and pictures, that name a file that isn't there."""
    text = without_code(markdown)
    tags = _Tags(text)
    addresses = [address for _, _, address in _LINK.findall(text)]
    addresses += tags.links + [address for _, address in tags.images]
    broken = []
    for address in addresses:
        parts = urlsplit(address)
        local = not parts.scheme and not parts.netloc and parts.path
        if local and not (folder / unquote(parts.path)).exists():
            broken.append(address)
    return broken


def headings(markdown: str) -> list[tuple[int, str]]:
    """Return the level and the words of each heading."""
    found = re.findall(r"^(#{1,6})\s+(.+?)\s*#*$", _FENCED.sub("", markdown), re.MULTILINE)
    return [(len(marks), words) for marks, words in found]
