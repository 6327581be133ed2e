"""Bodies that hold files: `multipart/form-data`, written to the disk as it comes, for signed-in people only."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, cast

import structlog
from starlette.requests import Request
from starlette.responses import Response

from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import CodedError, Overloaded, PayloadTooLarge, RequestTimeout
from twinspeak.domain.errors import UnsupportedMediaType as Unsupported
from twinspeak.domain.vault_errors import InvalidBody
from twinspeak.services.vault import Incoming, Staged
from twinspeak.transports.http.body import GatedRequest
from twinspeak.transports.http.caller import caller
from twinspeak.transports.http.multipart import Event, Multipart, PartBegins, PartBytes, PartEnds, boundary_of
from twinspeak.transports.http.routes import GatedRoute
from twinspeak.transports.services import Edge, services_of

MOST_FILES = 100
MOST_FIELD_BYTES = 65_536
"""All plain fields of a body together."""
_WRITTEN_AT_ONCE = 1 << 20
_FORM = "uploaded_form"

_log = structlog.get_logger(__name__)


class File:
    """A file of a body: whole in `incoming`, or `error` says what was the matter with it."""

    def __init__(self, name: str, media_type: str, staged: Staged) -> None:
        """Nothing of it has come yet."""
        self.incoming = Incoming(staged=staged, name=name, media_type=media_type)
        self.error: CodedError | None = None
        self.size = 0


class Form:
    """A body: `fields` by name (of several of one name the last), `files` in their order."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.fields: dict[str, str] = {}
        self.files: list[File] = []


class UploadRoute(GatedRoute):
    """A route whose body is multipart. Who it is comes first; what was not kept is thrown away after the answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the gate's handler."""
        handle = super().get_route_handler()

        async def cleaned(request: Request) -> Response:
            request.scope.setdefault("state", {})[_FORM] = form = Form()
            try:
                return await handle(request)
            finally:
                for file in form.files:
                    await asyncio.to_thread(file.incoming.staged.discard)

        return cleaned

    async def take(self, request: GatedRequest) -> None:
        """Write the files to the disk. Raises what `caller` raises, and what is the matter with the body."""
        await caller(request)
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
            raise Unsupported("Send the files as multipart/form-data.")
        edge = services_of(request).edge
        if request.declared > edge.upload_max_bytes:
            raise PayloadTooLarge(details={"maxBytes": edge.upload_max_bytes})
        await _Intake(request, form_of(request), edge).read(Multipart(boundary_of(content_type)))


def form_of(request: Request) -> Form:
    """Return the body of a request to an `UploadRoute`."""
    return cast("Form", request.scope["state"][_FORM])


class _Intake:
    """Takes one body in."""

    def __init__(self, request: GatedRequest, form: Form, edge: Edge) -> None:
        self._request = request
        self._form = form
        self._edge = edge
        self._field: str | None = None
        self._field_bytes = 0
        self._text = bytearray()
        self._pending = bytearray()
        self._vaults = services_of(request).vaults

    async def read(self, parser: Multipart) -> None:
        """Read to the end, within the bounds of size and time."""
        ends = monotonic() + self._edge.upload_timeout_s
        size = 0
        async with aclosing(self._request.stream()) as stream:
            while True:
                try:
                    # Of a slow line every piece is worth waiting for; of one that stands still none.
                    async with asyncio.timeout(min(self._edge.body_timeout_s, max(0.0, ends - monotonic()))):
                        piece = await anext(stream, None)
                except TimeoutError:
                    raise RequestTimeout from None
                if piece is None:
                    break
                size += len(piece)
                if size > self._edge.upload_max_bytes:
                    raise PayloadTooLarge(details={"maxBytes": self._edge.upload_max_bytes})
                for event in parser.feed(piece):
                    await self._take(event)
        parser.finish()

    async def _take(self, event: Event) -> None:
        if isinstance(event, PartBegins):
            await self._begin(event)
        elif isinstance(event, PartBytes):
            if self._field is not None:
                self._field_bytes += len(event.data)
                if self._field_bytes > MOST_FIELD_BYTES:
                    raise PayloadTooLarge(details={"maxBytes": MOST_FIELD_BYTES})
                self._text += event.data
            else:
                self._pending += event.data
                if len(self._pending) >= _WRITTEN_AT_ONCE:
                    await self._write()
        else:
            await self._end(event)

    async def _begin(self, part: PartBegins) -> None:
        if part.filename is None:
            self._field = part.name
            self._text.clear()
            return
        self._field = None
        if len(self._form.files) >= MOST_FILES:
            raise InvalidBody(f"A request may bring at most {MOST_FILES} files.")
        try:
            staged = await asyncio.to_thread(self._vaults.stage)
        except OSError as error:
            _log.exception("no file can be kept", error=error.strerror)
            raise Overloaded("There is no room for files on this server now.") from None
        self._form.files.append(File(part.filename, part.media_type, staged))

    async def _write(self) -> None:
        file, data = self._form.files[-1], bytes(self._pending)
        self._pending.clear()
        file.size += len(data)
        if file.size > self._edge.upload_file_max_bytes and file.error is None:
            file.error = PayloadTooLarge(
                "This file is too large.", details={"maxBytes": self._edge.upload_file_max_bytes}
            )
        if file.error is not None:
            return
        try:
            await asyncio.to_thread(file.incoming.staged.write, data)
        except OSError as error:
            _log.exception("a file could not be kept", error=error.strerror)
            file.error = Overloaded("There is no room for this file on this server now.")

    async def _end(self, _event: PartEnds) -> None:
        if self._field is None:
            await self._write()
            return
        try:
            self._form.fields[self._field] = self._text.decode()
        except UnicodeDecodeError:
            raise InvalidBody(f"The field {self._field[:100]} is not text in UTF-8.") from None
