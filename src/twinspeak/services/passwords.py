"""What a new password and an e-mail address must look like."""

import re

from twinspeak.domain.errors import ValidationFailed
from twinspeak.persistence.repos.users import normal_email

MIN_CHARS = 8
"""NIST SP 800-63B; length is the only rule, since composition rules make passwords worse."""
MAX_EMAIL_CHARS = 254
"""RFC 5321 section 4.5.3.1.3, less the angle brackets."""

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)*")


def check_email(email: str) -> str:
    """Return the address as it is stored. Raises ValidationFailed for what is none."""
    address = normal_email(email)
    if len(address) > MAX_EMAIL_CHARS or not _EMAIL.fullmatch(address) or not address.isprintable():
        raise ValidationFailed(param="email", details=field("email", "must be an e-mail address"))
    return address


def check_new(password: str, *, current: str | None = None, name: str = "newPassword") -> None:
    """Raise ValidationFailed, naming the field, for a password that may not be chosen.

    Too long is the hasher's to refuse.
    """
    if len(password) < MIN_CHARS:
        message = f"must have at least {MIN_CHARS} characters"
    elif password == current:
        message = "must differ from the current password"
    else:
        return
    raise ValidationFailed(param=name, details=field(name, message))


def field(name: str, message: str) -> dict[str, list[dict[str, str]]]:
    """Return the details of a ValidationFailed that concerns one field."""
    return {"fields": [{"field": name, "message": message}]}
