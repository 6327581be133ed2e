"""`institution` of requests about one's own conversations: three states (reference 4.3)."""

from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, StringConstraints, model_validator

from twinspeak.services.places import CURRENT, Place

LARGEST = 2**53 - 1
"""What a JavaScript client can count to."""
Address = Annotated[str, StringConstraints(max_length=200)]
"""A part of the address that was asked, as a filter (reference 4.1: `api`)."""


class InPlace(BaseModel):
    """A body about one place. Unknown keys are tolerated; null and "" mean absent, but of `institution`."""

    institution: str | None = Field(
        default=None,
        description="A twin's id. null or empty: the personal space. Left out: the active twin, personal if none.",
    )

    @property
    def place(self) -> Place:
        """What the services take."""
        return (self.institution or None) if "institution" in self.model_fields_set else CURRENT

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        members = cast("dict[str, Any]", value)
        return {name: member for name, member in members.items() if name == "institution" or member not in (None, "")}
