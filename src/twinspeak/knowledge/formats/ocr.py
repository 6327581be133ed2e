"""Text in pictures, read by tesseract where that is installed; it is started by its path."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from twinspeak.domain.file_errors import FileDamaged, FileTooSlow
from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import clean, tidy


def read_picture(reading: Reading, picture: Path, place: Locator) -> Iterator[Block]:
    """Yield the paragraphs in a picture; nothing where tesseract is not there. Raises FileTooSlow, FileDamaged."""
    if not reading.tesseract:
        return
    command = [reading.tesseract, str(picture), "stdout", "-l", reading.limits.ocr_languages]
    try:
        done = subprocess.run(  # noqa: S603 - the program is the operator's, the picture's name is ours
            command, capture_output=True, check=False, timeout=max(reading.seconds_left(), 1), stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise FileTooSlow from error
    if done.returncode:
        raise FileDamaged("The picture could not be read.", details={"format": "picture"})
    for paragraph in clean(done.stdout.decode("utf-8", "replace")).split("\n\n"):
        text = tidy(paragraph)
        if text:
            yield Block(text, (), place)
