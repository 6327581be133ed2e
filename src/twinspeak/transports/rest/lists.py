"""What the lists and the bulk work of administration have in common (reference: admin 1)."""

from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from twinspeak.services.administered import MAX_BULK, Page, Skipped
from twinspeak.transports.rest.shapes import ID, Shape

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
AccountType = Annotated[str, StringConstraints(pattern="^(user|admin|super)$")]
Role = Annotated[str, StringConstraints(pattern="^(user|admin)$")]
Ids = Annotated[str, StringConstraints(max_length=20_000)]
Targets = Annotated[list[Annotated[str, StringConstraints(max_length=100)]], Field(min_length=1, max_length=MAX_BULK)]


class Listing(BaseModel):
    """Which page; null and "" mean absent, unknown keys are tolerated."""

    model_config = ConfigDict(json_schema_extra={"example": {"page": 1, "pageSize": 100}})

    institution: Ids = Field(default="", description="Twins' ids, parted by blanks.")
    account: Ids = Field(default="", description="Accounts' ids, parted by blanks.")
    page: int = Field(default=1, ge=1, le=1_000_000)
    page_size: int = Field(default=100, ge=1, le=5_000, alias="pageSize")

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, Any]", value)
        kept = {name: member for name, member in given.items() if member not in (None, "")}
        if "limitsearch" in kept:  # the name that older clients know
            kept.setdefault("pageSize", kept["limitsearch"])
        return kept

    @property
    def wanted(self) -> Page:
        """Return the page as the services take it."""
        return Page(page=self.page, size=self.page_size)


class ListOf(Shape):
    """A page."""

    success: Literal[True] = True
    total: int
    has_more: bool = Field(serialization_alias="hasMore")
    page: int
    page_size: int = Field(serialization_alias="pageSize")


class SkippedShape(BaseModel):
    """What was left alone, and the code that says why."""

    id: str = Field(examples=[ID])
    reason: str = Field(examples=["not_found"])


class Message(BaseModel):
    """It is done."""

    success: Literal[True] = True
    message: str = Field(examples=["Done."])


class MadeOne(Message):
    """It is made."""

    id: str = Field(examples=[ID])


L = TypeVar("L", bound=ListOf)


def page_of(kind: type[L], rows: list[Any], total: int, wanted: Listing) -> L:
    """Return a page in one of the shapes made of `ListOf`; its rows are `data`."""
    more = wanted.page * wanted.page_size < total
    return kind.model_validate(
        {"data": rows, "total": total, "has_more": more, "page": wanted.page, "page_size": wanted.page_size}
    )


def skipped(found: list[Skipped]) -> list[SkippedShape]:
    """Render what bulk work left alone."""
    return [SkippedShape(id=one.id, reason=one.reason) for one in found]
