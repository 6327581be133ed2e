"""The signed-in person: fresh profile and token, profile edits, password change (reference 2.1, 2.2)."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import ValidationFailed
from twinspeak.services.auth import SignedIn as Opened
from twinspeak.services.passwords import check_email
from twinspeak.services.profiles import ProfileChanges
from twinspeak.services.rate_limits import AUTH, MAIL, PASSWORD_CHANGE, address_key
from twinspeak.transports.http import page_session, rate
from twinspeak.transports.http.errors import unnamed
from twinspeak.transports.http.routes import SignedIn, TokenHolder, client_ip, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.auth import device_of
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import TOKEN, SignedInShape

ROUTER = router("Profile", failures=(401, 403))

Short = Annotated[str, StringConstraints(max_length=4_096)]

_OWN_COLUMNS = ("fname", "lname", "picture", "remember_history_count")


class Refreshed(SignedInShape):
    """A token of full lifetime, and the profile as it is now."""

    success: Literal[True] = True


class Done(BaseModel):
    """It is done. After a password change, `token` replaces every older one."""

    success: Literal[True] = True
    message: str = Field(examples=["Your profile is saved."])
    token: str | None = Field(default=None, examples=[TOKEN])


class PasswordChange(BaseModel):
    """`resetCodeId` is the profile's; it makes the request a password change."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "resetCodeId": "3f0c8f0e-6d1b-4f43-9b6c-0d2f7a1c5e11",
                "password": "the current one",
                "newPassword": "correct horse battery staple",
            }
        }
    )

    reset_code_id: Short = Field(validation_alias="resetCodeId")
    password: Annotated[str, StringConstraints(min_length=1, max_length=4_096)]
    new_password: Short = Field(validation_alias="newPassword", description="At least 8 characters.")


class ProfileEdit(BaseModel):
    """Any of these, and nothing else; null leaves a field as it is, but makes a retrieval switch say nothing again."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"example": {"fname": "Ada", "remember_history_count": 5}}
    )

    email: Short | None = Field(default=None, description="Another one is taken once its code comes back.")
    fname: Short | None = None
    lname: Short | None = None
    picture: Short | None = None
    remember_history_count: int | None = Field(default=None, ge=0, le=15)
    rag_only_search: bool | None = Field(default=None, alias="ragOnlySearch")
    rag_ignore: bool | None = Field(default=None, alias="ragIgnore")
    rag_kag_mode: bool | None = Field(default=None, alias="ragKagMode")
    use_location: bool | None = None
    use_memory: bool | None = Field(default=None, description="Off: models neither read nor write memories.")
    use_stt: bool | None = None
    dark_mode: bool | None = None
    pin_ui: bool | None = None
    show_side_bar: bool | None = Field(default=None, alias="showSideBar")
    gallery_as_grid: bool | None = Field(default=None, alias="galleryAsGrid")
    update_password_on_sso: bool | None = Field(default=None, alias="updatePasswordOnSSO")
    browser_voice: Short | None = None
    browser_voices: list[Short] | None = None
    rt_voice: Short | None = None
    gemini_rt_voice: Short | None = None
    xai_rt_voice: Short | None = None
    must_change_password: bool | None = Field(
        default=None, alias="mustChangePassword", description="Only as it is: the password change itself resets it."
    )
    mfa_enabled: bool | None = Field(
        default=None, alias="mfaEnabled", description="A second step at sign-in: a code by mail, or by an app."
    )


def _mode(body: Any) -> str:
    return unnamed("password" if isinstance(body, dict) and "resetCodeId" in body else "profile")


Edit = Annotated[
    Annotated[PasswordChange, Tag(unnamed("password"))] | Annotated[ProfileEdit, Tag(unnamed("profile"))],
    Discriminator(_mode),
]


@ROUTER.post("/api/user/refresh/profile", summary="Refresh profile and token", responses=failures(429))
async def refresh_profile(request: Request, caller: TokenHolder) -> Refreshed:
    """Return the profile as it is now, and a token that is good for another full lifetime.

    Needs no body and ignores one.
    """
    with rate.failures_only(request, address_key(client_ip(request)), AUTH):
        signed = await services_of(request).auth.refresh(caller)
    shown = render.signed_in(signed)
    return Refreshed(token=shown.token, profile=shown.profile)


@ROUTER.put("/api/user/me", summary="Edit your profile, or change your password", responses=failures(409, 429))
async def edit_me(request: Request, response: Response, caller: SignedIn, edit: Edit) -> Done:
    """Change the password when the body holds `resetCodeId`, else the profile.

    A password change ends every session of the person, this one too, and returns a fresh token; the chat page gets a
    fresh cookie instead.
    """
    if isinstance(edit, PasswordChange):
        signed = await _change_password(request, caller, edit)
        if page_session.used(request):
            page_session.keep(request, response, signed)
        return Done(message="Your password is changed.", token=None if page_session.used(request) else signed.token)
    asked = await _edit_profile(request, caller, edit)
    saved = "Your profile is saved."
    return Done(message=f"{saved} We have sent a code to the new e-mail address." if asked else saved)


async def _change_password(request: Request, caller: Caller, change: PasswordChange) -> Opened:
    services = services_of(request)
    with rate.failures_only(request, caller.user_id, PASSWORD_CHANGE):
        profile = await services.profiles.get(caller)
        if change.reset_code_id != profile.user.reset_code_id:
            raise _refused("resetCodeId", "is not the one of your profile")
        return await services.auth.change_password(caller, change.password, change.new_password, device_of(request))


async def _edit_profile(request: Request, caller: Caller, edit: ProfileEdit) -> bool:
    """Return whether another e-mail address is asked for."""
    profiles = services_of(request).profiles
    if edit.must_change_password is not None:
        profile = await profiles.get(caller)
        if edit.must_change_password != profile.user.must_change_password:
            raise _refused("mustChangePassword", "cannot be changed here")
    email = check_email(edit.email) if edit.email is not None else caller.email
    await profiles.edit(caller, changes_of(edit))
    if edit.mfa_enabled is not None:
        await services_of(request).people.two_steps.switch(actor_of(request, caller), on=edit.mfa_enabled)
    if email == caller.email:
        return False
    rate.take(request, email, MAIL)
    await services_of(request).people.own.ask_new_email(caller, email)
    return True


def changes_of(edit: ProfileEdit) -> ProfileChanges:
    """Return what was sent as the service takes it: own columns, retrieval switches, and preferences by wire name."""
    sent = edit.model_dump(by_alias=True, exclude_unset=True, exclude={"must_change_password", "mfa_enabled", "email"})
    given: dict[str, Any] = {name: value for name in _OWN_COLUMNS if (value := sent.pop(name, None)) is not None}
    ignore, only = sent.pop("ragIgnore", msgspec.UNSET), sent.pop("ragOnlySearch", msgspec.UNSET)
    preferences = {name: value for name, value in sent.items() if value is not None}
    return ProfileChanges(**given, rag_ignore=ignore, rag_only=only, preferences=preferences)


def _refused(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(param=name, details={"fields": [{"field": name, "message": message}]})
