"""The built page as it lies in the package: read once, at the start of the server."""

import base64
import hashlib
import mimetypes
import re
from pathlib import Path

import msgspec

HERE = Path(__file__).parent / "bundle"
_INDEX = "index.html"
_PACKED = ".gz"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class File(msgspec.Struct, frozen=True):
    """A file of the bundle; `packed` is the same in gzip, empty where that saves nothing."""

    content: bytes
    packed: bytes
    media_type: str


class Bundle(msgspec.Struct, frozen=True):
    """`files` by their path below the page's root. `scripts` are CSP sources of the inline scripts in the page."""

    index: File
    files: dict[str, File]
    scripts: tuple[str, ...]


def load(folder: Path = HERE) -> Bundle | None:
    """Read a bundle; None when none has been built."""
    if not (folder / _INDEX).is_file():
        return None
    names = [path for path in folder.rglob("*") if path.is_file() and path.suffix != _PACKED]
    files = {path.relative_to(folder).as_posix(): _file(path) for path in names if not path.name.startswith(".")}
    index = files.pop(_INDEX)
    return Bundle(index=index, files=files, scripts=_inline_scripts(index.content))


def _file(path: Path) -> File:
    packed = path.with_name(path.name + _PACKED)
    return File(
        content=path.read_bytes(),
        packed=packed.read_bytes() if packed.is_file() else b"",
        media_type=_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream",
    )


def _inline_scripts(page: bytes) -> tuple[str, ...]:
    digests = (hashlib.sha256(script).digest() for script in _INLINE.findall(page))
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
