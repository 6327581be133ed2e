"""Why a file cannot be read into a vault: kept on the file, and shown to whoever brought it.

None of them goes away by trying again: another file is needed, or other limits.
"""

from twinspeak.domain.errors import CallerError


class FileUnreadable(CallerError):
    """A parser ended in a way that nobody foresaw; the more exact reasons are its subclasses."""

    code = "file_unreadable"
    status = 422
    default = "This file could not be read."


class FileEmpty(FileUnreadable):
    code = "file_empty"
    default = "This file is empty."


class FileEncrypted(FileUnreadable):
    code = "file_encrypted"
    default = "This file is protected by a password. Save it without one, then upload it again."


class FileDamaged(FileUnreadable):
    """`details` is `{"format": what it looks like}`."""

    code = "file_damaged"
    default = "This file is damaged or incomplete."


class FileTooLarge(FileUnreadable):
    """`details` is `{"limit": "chars"|"pages"|"rows"|"members"|"pixels"|"memory"|"bytes", "most"?: int}`."""

    code = "file_too_large"
    status = 413
    default = "There is more in this file than this server reads."


class FileExpands(FileUnreadable):
    """A bomb: a small file that unpacks to more than it is allowed to."""

    code = "file_expands"
    default = "This file unpacks to far more than its size, and was not read."


class FileTooSlow(FileUnreadable):
    code = "file_too_slow"
    default = "Reading this file took longer than this server allows."


class FileUnsupported(FileUnreadable):
    """`details` is `{"format": what it looks like, or "unknown"}`."""

    code = "file_unsupported"
    status = 415
    default = "Files of this kind cannot be read."


class FileWithoutText(FileUnreadable):
    """`details.reason` is "blank" or "no_ocr": there are pictures of text, and nothing here to read them with."""

    code = "file_without_text"
    default = "There is no text in this file."
