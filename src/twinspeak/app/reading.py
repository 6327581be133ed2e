"""What the settings say about reading files and cutting them up."""

from twinspeak.knowledge.chunk import Sizes
from twinspeak.knowledge.document import Limits
from twinspeak.settings import Settings


def limits_of(settings: Settings) -> Limits:
    """Return what reading one file may cost."""
    return Limits(
        memory_bytes=settings.read_memory_bytes,
        cpu_s=settings.read_cpu_s,
        wall_s=settings.read_timeout_s,
        max_chars=settings.read_max_chars,
        max_rows=settings.read_max_rows,
        max_expanded_bytes=settings.read_max_expanded_bytes,
        max_members=settings.archive_members,
        archive_depth=settings.archive_depth,
        ocr_languages=settings.ocr_languages,
    )


def sizes_of(settings: Settings) -> Sizes:
    """Return how large passages are."""
    return Sizes(chunk=settings.chunk_chars, parent=settings.chunk_parent_chars)
