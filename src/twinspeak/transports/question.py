"""The body of a question, as REST and SSE take it (contract section 4, reference 3.1), and the `Ask` it becomes."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator
from starlette.requests import Request

from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.errors import CallerError, InvalidId
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.turn import Ask, Face, GeoPoint
from twinspeak.transports import wire_names as wire
from twinspeak.transports.attachments import Sent, files_from
from twinspeak.transports.http.routes import origin_of, request_id

LARGEST_NUMBER = 2**53 - 1
"""What a JavaScript client can count to."""


def _absent(value: Any) -> Any:
    return None if value == "" else value


def _nowhere(value: Any) -> Any:
    """Browsers that were not let know the place send an empty object."""
    return None if value in ("", {}) else value


# A bound stands inside the union: around it, pydantic applies it to None as well, and breaks.
def _stream_mode(value: str | None) -> str | None:
    if value not in (None, *wire.STREAM_MODES):
        raise ValueError(f"must be one of {', '.join(wire.STREAM_MODES)}")
    return value


Text = Annotated[str | None, BeforeValidator(_absent)]
SocketId = Annotated[Annotated[str, StringConstraints(max_length=200)] | None, BeforeValidator(_absent)]
Name = Annotated[Annotated[str, StringConstraints(max_length=500)] | None, BeforeValidator(_absent)]
Word = Annotated[Annotated[str, StringConstraints(max_length=64)] | None, BeforeValidator(_absent)]
UploadId = Annotated[str, StringConstraints(min_length=1, max_length=100, to_lower=True)]
CourseId = Annotated[Annotated[int, Field(ge=0, le=LARGEST_NUMBER)] | None, BeforeValidator(_absent)]
Flag = Annotated[bool | None, BeforeValidator(_absent)]
Input = Annotated[str, StringConstraints(min_length=1)]


class _Lenient(BaseModel):
    """Unknown keys are tolerated; null and "" mean absent."""

    model_config = ConfigDict(extra="ignore", strict=True)


class CourseAssistant(_Lenient):
    """`selectedCourse.assistant`, as older clients send it."""

    id: Text = Field(default=None, alias="_id")


class SelectedCourse(_Lenient):
    """The conversation."""

    course_id: CourseId = Field(
        default=None, description="Chosen by the client, epoch milliseconds; 0 is the unassigned bucket; absent = new."
    )
    course_name: Name = None
    assistant: Annotated[CourseAssistant | None, BeforeValidator(_absent)] = None

    @field_validator("course_id", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """JavaScript has one kind of number: 1750532703472.0 is whole."""
        return int(value) if isinstance(value, float) and value.is_integer() else value


class File(_Lenient):
    """An image or a PDF that comes with the question."""

    url: Text = Field(
        default=None, description="`data:<media type>;base64,…`: PNG, JPEG, WebP, GIF or PDF. No address is fetched."
    )
    upload_id: Text = Field(
        default=None, alias="uploadId", description="Instead of `url`: such a file of a vault that you may read here."
    )
    name: Name = None


class Place(_Lenient):
    """Where the client is, in degrees; the other members of its coordinates are not looked at."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class RequestArgs(_Lenient):
    """The context of a question."""

    institution_public_id: Text = Field(default=None, alias="institutionPublicId", description="The twin to ask.")
    assistant_id: Text = Field(default=None, alias="assistantId", description="24 hexadecimal digits.")
    selected_course: Annotated[SelectedCourse | None, BeforeValidator(_absent)] = Field(
        default=None, alias="selectedCourse"
    )
    rag_only: Flag = Field(default=None, alias="ragOnly", description="Passages only, no model.")
    rag_ignore: Flag = Field(default=None, alias="ragIgnore", description="No search of the vault; wins over ragOnly.")
    user_iso_date: Word = Field(default=None, alias="userISODate")
    user_timezone: Word = Field(default=None, alias="userTimezone")
    replaces_id: Text = Field(
        default=None,
        alias="replacesId",
        description="Edit or ask again: the dialogue of the conversation in whose place this question is asked.",
    )
    parent_id: Text = Field(
        default=None, alias="parentId", description="The dialogue of the conversation that this question follows."
    )
    user_gps: Annotated[Place | None, BeforeValidator(_nowhere)] = Field(
        default=None,
        alias="userGPSCoordinates",
        description="Told to the model where the profile's `use_location` and the twin let it.",
    )
    socket_id: SocketId = Field(
        default=None, alias="socketId", description="The Socket.IO id of the socket that is to receive the stream."
    )
    resumable: Flag = Field(
        default=None, description="SSE: frames carry ids, and the turn survives a dropped connection."
    )
    stream_mode: Annotated[Text, AfterValidator(_stream_mode)] = Field(
        default=None, alias="streamMode", description="`delta` leaves the cumulative `prompt` out of stream frames."
    )
    attachments: Annotated[Annotated[list[File], Field(max_length=64)] | None, BeforeValidator(_absent)] = Field(
        default=None, description="Up to 5 files for the model to read, where it can."
    )
    only: Annotated[Annotated[list[UploadId], Field(max_length=100)] | None, BeforeValidator(_absent)] = Field(
        default=None,
        alias="selectedUploadIds",
        description="Search these documents only; foreign and unknown ids find nothing. Empty: all, as without it.",
    )
    extended_events: Flag = Field(default=None, alias="extendedEvents", description="Also send `tool_progress`.")


class Question(_Lenient):
    """One question: `inputs` are joined by a blank line."""

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        json_schema_extra={"example": {"inputs": ["What is a digital twin?"], "requestArgs": {"ragOnly": False}}},
    )

    inputs: Annotated[list[Input], Field(min_length=1, max_length=256)]
    request_args: Annotated[RequestArgs | None, BeforeValidator(_absent)] = Field(default=None, alias="requestArgs")

    @field_validator("inputs")
    @classmethod
    def _not_blank(cls, value: list[str]) -> list[str]:
        if any(not text.strip() for text in value):
            raise ValueError("must hold no blank text")
        return value

    @property
    def args(self) -> RequestArgs:
        """The context, empty when none was sent."""
        return self.request_args or RequestArgs()

    def ask(self, request: Request, caller: Caller, face: Face) -> Ask:
        """Return what the engine is asked. Raises InvalidId, ValidationFailed and PayloadTooLarge."""
        args = self.args
        course = args.selected_course or SelectedCourse()
        sent = [Sent(file.url or "", file.name or "", file.upload_id or "") for file in args.attachments or ()]
        files = files_from(sent, "requestArgs.attachments")
        in_course = course.assistant.id if course.assistant else None
        return Ask(
            turn_id=new_id(),
            caller=caller,
            face=face,
            question="\n\n".join(self.inputs),
            institution_public_id=args.institution_public_id,
            assistant_id=object_id(args.assistant_id, "requestArgs.assistantId")
            or object_id(in_course, "requestArgs.selectedCourse.assistant._id"),
            course=_course(course, args),
            new_course_name=course.course_name or "",
            rag_only=args.rag_only or None,
            rag_ignore=args.rag_ignore or None,
            timezone=args.user_timezone or "",
            client_time=args.user_iso_date or "",
            place=GeoPoint(args.user_gps.latitude, args.user_gps.longitude) if args.user_gps else None,
            origin=origin_of(request),
            request_id=request_id(request),
            attachments=files.attachments,
            uploads=files.uploads,
            documents=tuple(args.only or ()),
        )


def object_id(value: str | None, param: str) -> str | None:
    """Return the id in lower case, None when absent. Raises InvalidId when it is not 24 hexadecimal digits."""
    if value is None:
        return None
    parsed = parse_id(value)
    if parsed is None:
        raise InvalidId(param=param)
    return parsed


def _course(course: SelectedCourse, args: RequestArgs) -> CourseRef | None:
    if args.replaces_id and args.parent_id:
        raise CallerError("Name the dialogue to replace or the one to follow, not both.", param="requestArgs.parentId")
    if not course.course_id and (args.replaces_id or args.parent_id):
        raise CallerError("Name the conversation too.", param="requestArgs.selectedCourse.course_id")
    if course.course_id is None:
        return None
    return CourseRef(
        course_id=course.course_id,
        course_name=course.course_name or "",
        replaces_id=object_id(args.replaces_id, "requestArgs.replacesId"),
        parent_id=object_id(args.parent_id, "requestArgs.parentId"),
    )
