"""Every format there is a reader for: its media type, and the module that reads it (imported when first needed)."""

from importlib import import_module
from typing import Final, cast

import msgspec

from twinspeak.knowledge.formats.reading import Reader


class Format(msgspec.Struct, frozen=True):
    """`media_type` as the file is served again."""

    module: str
    media_type: str


_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_ODF: Final = "application/vnd.oasis.opendocument"

FORMATS: Final = {
    "pdf": Format("pdf", "application/pdf"),
    "docx": Format("docx", f"{_OFFICE}.wordprocessingml.document"),
    "pptx": Format("pptx", f"{_OFFICE}.presentationml.presentation"),
    "xlsx": Format("sheets", f"{_OFFICE}.spreadsheetml.sheet"),
    "xls": Format("sheets", "application/vnd.ms-excel"),
    "ods": Format("sheets", f"{_ODF}.spreadsheet"),
    "odt": Format("opendocument", f"{_ODF}.text"),
    "odp": Format("opendocument", f"{_ODF}.presentation"),
    "epub": Format("epub", "application/epub+zip"),
    "html": Format("html", "text/html"),
    "markdown": Format("markdown", "text/markdown"),
    "csv": Format("csv_rows", "text/csv"),
    "json": Format("data", "application/json"),
    "ipynb": Format("notebook", "application/x-ipynb+json"),
    "xml": Format("markup", "application/xml"),
    "code": Format("code", "text/plain"),
    "mail": Format("mail", "message/rfc822"),
    "vtt": Format("subtitles", "text/vtt"),
    "srt": Format("subtitles", "application/x-subrip"),
    "png": Format("pictures", "image/png"),
    "jpeg": Format("pictures", "image/jpeg"),
    "gif": Format("pictures", "image/gif"),
    "webp": Format("pictures", "image/webp"),
    "tiff": Format("pictures", "image/tiff"),
    "bmp": Format("pictures", "image/bmp"),
    "zip": Format("archive", "application/zip"),
    "imscc": Format("archive", "application/zip"),
}


def reader_of(format_name: str) -> Reader:
    """Return a format's `read`."""
    module = import_module(f"twinspeak.knowledge.formats.{FORMATS[format_name].module}")
    return cast("Reader", module.read)
