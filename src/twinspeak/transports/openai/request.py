"""The body of a chat completion, and the `Ask` it becomes (contract 4.4, reference 3.4).

What OpenAI's clients send and this face does not use is tolerated whatever its type: it is never even looked at.
"""

from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request

from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import UNASSIGNED, CourseRef, Exchange, alternate
from twinspeak.domain.errors import ValidationFailed
from twinspeak.domain.ids import new_id, parse_uuid
from twinspeak.domain.turn import Ask, Face, Sampling
from twinspeak.transports import wire_names as wire
from twinspeak.transports.attachments import Sent, files_from
from twinspeak.transports.http.routes import origin_of, request_id
from twinspeak.transports.question import LARGEST_NUMBER, object_id

_DEFAULT_MODEL = "pria"
_MAX_STOPS = 4


_FILES = ("image_url", "file")


def _file(part: dict[str, Any]) -> Sent:
    inner: Any = part.get(str(part.get("type")))
    given: dict[str, Any] = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {"url": inner}
    values = (given.get("file_data") or given.get("url"), given.get("filename"), given.get("file_id"))
    return Sent(*(value if isinstance(value, str) else "" for value in values))


def _role(value: Any) -> Any:
    return value or wire.ROLE_USER


class ChatMessage(BaseModel):
    """One message. Text comes from a string or from parts of type `text`.

    Of the last message of the user, parts of type `image_url` and `file` are read too; all others are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    role: Annotated[str, BeforeValidator(_role)] = wire.ROLE_USER
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """What it says."""
        if isinstance(self.content, list):
            texts: list[Any] = [part.get("text") for part in self.content if part.get("type", "text") == "text"]
            return "\n\n".join(text for text in texts if isinstance(text, str))
        return self.content or ""

    @property
    def files(self) -> list[Sent]:
        """Its images and files."""
        return [_file(part) for part in self.content or () if isinstance(part, dict) and part.get("type") in _FILES]


class ChatCompletion(BaseModel):
    """A chat completion request. Everything else that OpenAI knows is accepted and ignored."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"example": {"model": "pria", "messages": [{"role": wire.ROLE_USER, "content": "Hi"}]}},
    )

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=2_000)]
    model: str | None = Field(
        default=None, max_length=256, description="Echoed; a twin's publicId here names the twin."
    )

    @property
    def echoed_model(self) -> str:
        """The model that every chunk names."""
        return self.model or _DEFAULT_MODEL

    def field(self, name: str) -> Any:
        """Return a field of OpenAI's that only twins with `chatCompletionOpenAICompat` honour, None when absent."""
        return (self.model_extra or {}).get(name)

    def ask(self, request: Request, caller: Caller) -> Ask:
        """Return what the engine is asked. Raises ValidationFailed, InvalidId, PayloadTooLarge."""
        asked, history = self._split()
        files = files_from(asked.files, "messages")
        named = header(request, wire.INSTITUTION_HEADERS)
        return Ask(
            turn_id=new_id(),
            caller=caller,
            face=Face.OPENAI,
            question=asked.text,
            attachments=files.attachments,
            uploads=files.uploads,
            institution_public_id=named,
            institution_hint=None if named else parse_uuid(self.model or ""),
            assistant_id=object_id(header(request, wire.ASSISTANT_HEADERS), wire.ASSISTANT_HEADERS[0]),
            course=CourseRef(course_id=_course_id(header(request, wire.CONVERSATION_HEADERS))),
            messages=history,
            timezone=(header(request, wire.TIMEZONE_HEADERS) or "")[:64],
            sampling=self._sampling(),
            origin=origin_of(request),
            request_id=request_id(request),
        )

    def _split(self) -> tuple[ChatMessage, tuple[Exchange, ...]]:
        """Return the last user message, and what was said before it, strictly alternating.

        One without text is refused: answering the question before it instead would answer something nobody asked.
        """
        users = (at for at in reversed(range(len(self.messages))) if self.messages[at].role == wire.ROLE_USER)
        last = next(users, None)
        if last is None or not self.messages[last].text.strip():
            field = {"field": "messages", "message": "must end with a user message that has text"}
            raise ValidationFailed(param="messages", details={"fields": [field]})
        said = [
            (message.role, message.text)
            for message in self.messages[:last]
            if message.role in (wire.ROLE_USER, wire.ROLE_ASSISTANT) and message.text.strip()
        ]
        return self.messages[last], alternate(said)

    def _sampling(self) -> Sampling:
        limit = self.field("max_completion_tokens") or self.field("max_tokens")
        temperature = self.field("temperature")
        stop = self.field(wire.STOP)
        stops: list[Any] = cast("list[Any]", stop) if isinstance(stop, list) else [stop]
        return Sampling(
            max_tokens=limit if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0 else None,
            temperature=float(temperature) if _is_temperature(temperature) else None,
            stop=tuple(text for text in stops if isinstance(text, str) and text)[:_MAX_STOPS],
        )


def header(request: Request, names: tuple[str, ...]) -> str | None:
    """Return the first of `names` that the request carries, None when it carries none or an empty one."""
    found = (request.headers.get(name, "").strip() for name in names)
    return next((value for value in found if value), None)


def _course_id(value: str | None) -> int:
    if value is None:
        return UNASSIGNED
    if not (value.isascii() and value.isdigit()) or int(value[:20]) > LARGEST_NUMBER:
        name = wire.CONVERSATION_HEADERS[0]
        fields = [{"field": name, "message": "must be a whole number"}]
        raise ValidationFailed(param=name, details={"fields": fields})
    return int(value)


def _is_temperature(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 2
