"""What can be the matter with bringing files and taking them in."""

from twinspeak.domain.errors import CallerError, ServiceError


class InvalidBody(CallerError):
    code = "invalid_body"
    default = "The body is not well-formed multipart/form-data."


class UploadsDisabled(CallerError):
    code = "uploads_disabled"
    status = 403
    type = "permission_error"
    default = "This digital twin takes no files from its members."


class VaultFull(CallerError):
    """`details` is `{"limit": "files"|"bytes", "used": int, "most": int}`."""

    code = "vault_full"
    status = 409
    default = "There is no room in this vault: delete something first."


class IngestionCancelled(CallerError):
    """Kept on a document whose reading somebody stopped."""

    code = "ingestion_cancelled"
    status = 409
    default = "Reading this document was stopped."


class IngestionFailed(ServiceError):
    """Kept on a document whose reading broke, again and again, for a reason that is ours."""

    code = "ingestion_failed"
    default = "Something went wrong while this document was read. Have it read again later."
