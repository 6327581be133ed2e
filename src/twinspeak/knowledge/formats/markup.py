"""Other XML: its text, element by element; escaped HTML inside is read as HTML, as courses keep their pages."""

from collections.abc import Iterator

from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats import html
from twinspeak.knowledge.formats.package import local, parse_xml
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import one_line, tidy


def read(reading: Reading) -> Iterator[Block]:
    """Yield the text of each element that has some. The title is the first element called so."""
    root = parse_xml(reading.data())
    for element in root.iter():
        if local(element) == "title" and not reading.title:
            reading.title = one_line(element.text or "")[:500]
        yield from _text(element.text or "")
        yield from _text(element.tail or "" if element is not root else "")


def _text(text: str) -> Iterator[Block]:
    if "</" in text:
        page = html.parse(text)
        yield from html.blocks(page) if page is not None else ()
    elif tidy(text):
        yield Block(tidy(text))
