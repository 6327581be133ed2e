"""The one tree of coded errors. Faces render them; nobody else invents a message.

    CodedError
    ├── CallerError       the request is at fault (4xx); the message is for the person who sent it
    ├── ServiceError      we or a provider are at fault (5xx); the message says what to try, never what broke inside
    └── ToolError         told to the model, and shown as a failed tool result; it never ends a turn

    OperatorError         stops the start of the server or a command; the message says what to change

Every code is stable and listed in docs/errors.md (a test compares). Statuses: contract section 3.
"""

from typing import Any, ClassVar


class OperatorError(Exception):
    """The installation is wrong; the message says what to change."""


class CodedError(Exception):
    """An error with a stable code.

    `details` is shown to the caller: it must never hold a key, a path, SQL or another tenant's data.
    `param` names the request field at fault; `retry_after_s` becomes `Retry-After`.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    default: ClassVar[str] = "Something went wrong on our side. Please try again."

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        details: dict[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """Keep what the faces render; `message` defaults to the class's own."""
        self.message = message or self.default
        self.param = param
        self.details = details or {}
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


class CallerError(CodedError):
    """The request is at fault."""

    code = "invalid_request"
    status = 400
    type = "invalid_request_error"
    default = "The request contradicts itself or cannot be understood."


class InvalidJson(CallerError):
    code = "invalid_json"
    default = "The body is not valid JSON in UTF-8."


class InvalidId(CallerError):
    code = "invalid_id"
    default = "An id must be 24 hexadecimal digits."


class ContextTooLong(CallerError):
    code = "context_length_exceeded"
    default = "This is too long for the model: shorten the question, or choose a model with a larger window."


class AuthenticationRequired(CallerError):
    code = "authentication_required"
    status = 401
    type = "authentication_error"
    default = "Authentication Required"


class TokenExpired(CallerError):
    code = "token_expired"
    status = 401
    type = "authentication_error"
    default = "Your sign-in has expired. Please sign in again."


class InvalidToken(CallerError):
    code = "invalid_token"
    status = 401
    type = "authentication_error"
    default = "The access token is not valid."


class InvalidCredentials(CallerError):
    code = "invalid_credentials"
    status = 401
    type = "authentication_error"
    default = "The e-mail address or the password is wrong."


class InsufficientCredits(CallerError):
    code = "insufficient_credits"
    status = 402
    type = "insufficient_quota"
    default = "There are not enough credits left for this question."


class NotAMember(CallerError):
    code = "not_a_member"
    status = 403
    type = "permission_error"
    default = "You are not a member of this digital twin."


class AccountSuspended(CallerError):
    code = "account_suspended"
    status = 403
    type = "permission_error"
    default = "This account is not active."


class AdminRequired(CallerError):
    code = "admin_required"
    status = 403
    type = "permission_error"
    default = "Only administrators may do this."


class EntitlementMissing(CallerError):
    """`details` is `{"verb": "module.action"}`."""

    code = "entitlement_missing"
    status = 403
    type = "permission_error"
    default = "Your membership does not entitle you to this."


class AccountManagerRequired(CallerError):
    code = "account_manager_required"
    status = 403
    type = "permission_error"
    default = "Only those who manage an account may do this."


class ActingAsSomebody(CallerError):
    code = "acting_as_somebody"
    status = 403
    type = "permission_error"
    default = "You act as somebody else: only they may do this."


class SuperRequired(CallerError):
    code = "super_required"
    status = 403
    type = "permission_error"
    default = "Only super administrators may do this."


class ChatCompletionDisabled(CallerError):
    code = "chat_completion_disabled"
    status = 403
    type = "permission_error"
    default = "This digital twin does not accept chat completions."


class OwnerRequired(CallerError):
    """Of something that the caller may see: what he may not see is not found."""

    code = "owner_required"
    status = 403
    type = "permission_error"
    default = "Only its owner may do this."


class CsrfFailed(CallerError):
    code = "csrf_failed"
    status = 403
    type = "permission_error"
    default = "This page is out of date. Reload it and try again."


class OriginNotAllowed(CallerError):
    code = "origin_not_allowed"
    status = 403
    type = "permission_error"
    default = "This web address may not talk to this digital twin."


class NotFound(CallerError):
    """Also for what belongs to someone else: the answer never tells which."""

    code = "not_found"
    status = 404
    type = "not_found_error"
    default = "There is nothing here by that id."


class RouteNotFound(CallerError):
    code = "route_not_found"
    status = 404
    type = "not_found_error"
    default = "There is no such address on this server."


class MethodNotAllowed(CallerError):
    code = "method_not_allowed"
    status = 405
    default = "This address does not take that method."


class RequestTimeout(CallerError):
    code = "request_timeout"
    status = 408
    default = "The request took too long to arrive."


class Conflict(CallerError):
    code = "conflict"
    status = 409
    default = "This cannot be done in the present state."


class PayloadTooLarge(CallerError):
    code = "payload_too_large"
    status = 413
    default = "The request is too large."


class UnsupportedMediaType(CallerError):
    code = "unsupported_media_type"
    status = 415
    default = "Send the body as application/json."


class ValidationFailed(CallerError):
    """`details` is `{"fields": [{"field", "message"}]}`, one entry a field."""

    code = "validation_failed"
    status = 422
    default = "Some fields are missing or wrong."


class AddressNotAllowed(CallerError):
    """A web address that somebody named is none, or leads where this server does not go (`egress.guard`).

    `details.reason` is malformed, scheme, credentials, host, port or redirect. An unknown host and a private one are
    answered alike, or the names of the operator's network could be tried out.
    """

    code = "address_not_allowed"
    status = 422
    default = "This web address does not exist, or may not be asked from this server."


class AttachmentUnsupported(CallerError):
    """`details` is `{"model": id, "mediaType": what it does not read}`."""

    code = "attachment_unsupported"
    status = 422
    default = "The model of this digital twin does not read files of this kind."


class ContentBlocked(CallerError):
    code = "content_blocked"
    status = 422
    default = "This question was refused by the digital twin's rules."


class RateLimited(CallerError):
    code = "rate_limited"
    status = 429
    type = "rate_limit_error"
    default = "Too many requests. Please wait a moment."


class ServiceError(CodedError):
    """We, or a provider, are at fault."""


class Overloaded(ServiceError):
    code = "overloaded"
    status = 503
    default = "The server is busy. Please try again in a moment."


class ServerStopping(ServiceError):
    code = "server_stopping"
    status = 503
    default = "The server is restarting. Please try again in a moment."


class ModelUnavailable(ServiceError):
    """The cascade chose a model that no configured provider serves."""

    code = "model_unavailable"
    status = 503
    default = "The model of this digital twin is not available on this server."


class ProviderFailed(ServiceError):
    """`details` is `{"provider": name, "status"?: int}`.

    `elsewhere` False: the vendor's rules refused the question, and it is not to be put to another one instead.
    """

    code = "provider_failed"
    status = 502
    default = "The model provider failed to answer. Please try again."

    def __init__(
        self,
        message: str | None = None,
        *,
        details: dict[str, Any] | None = None,
        retry_after_s: int | None = None,
        elsewhere: bool = True,
    ) -> None:
        super().__init__(message, details=details, retry_after_s=retry_after_s)
        self.elsewhere = elsewhere


class ProviderBusy(ServiceError):
    """Too many of our own requests wait for the provider. `details` is `{"provider": name}`."""

    code = "provider_busy"
    status = 503
    default = "Too many questions are waiting for the model provider. Please try again in a moment."


class ProviderUnavailable(ServiceError):
    """The provider failed so often that it is left alone for a while. `details` is `{"provider": name}`."""

    code = "provider_unavailable"
    status = 503
    default = "The model provider has been failing and is given a pause. Please try again in a moment."


class ProviderTimeout(ServiceError):
    """`details` is `{"provider": name, "limit": "first_token"|"silence"|"turn"}`."""

    code = "provider_timeout"
    status = 504
    default = "The model provider took too long. Please try again."


class FetchFailed(ServiceError):
    """`details` is `{"reason": "unreachable"|"timeout"|"too_large"|"redirects"|"status", "status"?: int}`."""

    code = "fetch_failed"
    status = 502
    default = "The web address did not answer as it should. Please try again."


class ToolError(CodedError):
    """A tool could not do what the model asked; the message is written for the model and shown to the user."""

    code = "tool_failed"
    status = 200
    type = "tool_error"
    default = "The tool could not do this."


class ToolRefused(ToolError):
    """A rule forbids what the model asked of a tool (`tools.policy`). `details` is `{"reason": word}`."""

    code = "tool_refused"
    default = "This may not be done here."
