"""What is written to people by mail. Names that somebody else chose never get into a subject."""

from twinspeak.domain.mail import Mail

_FOOT = "\n\nIf this was not you, there is nothing you need to do.\n"
MINUTE_MS = 60_000


def _minutes(ttl_ms: int) -> str:
    minutes = ttl_ms // MINUTE_MS
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


def sign_up(to: str, code: str, ttl_ms: int) -> Mail:
    """Bring the code that makes a sign-up good."""
    text = f"Your confirmation code is\n\n    {code}\n\nIt is good for {_minutes(ttl_ms)}."
    return Mail(to=to, subject="Confirm your e-mail address", text=text + _FOOT)


def already_there(to: str) -> Mail:
    """Tell somebody who signs up again that there is an account."""
    text = (
        "Somebody, probably you, tried to sign up with this address, but you have an account already.\n"
        "Sign in, or ask for a code to set a new password."
    )
    return Mail(to=to, subject="You have an account already", text=text + _FOOT)


def reset(to: str, code: str, ttl_ms: int) -> Mail:
    """Bring the code that sets a new password."""
    text = f"Your code for a new password is\n\n    {code}\n\nIt is good for {_minutes(ttl_ms)}."
    return Mail(to=to, subject="Set a new password", text=text + _FOOT)


def second_factor(to: str, code: str, ttl_ms: int) -> Mail:
    """Bring the code of a second step."""
    text = f"Your code to sign in is\n\n    {code}\n\nIt is good for {_minutes(ttl_ms)}."
    warning = "\n\nIf this was not you, somebody knows your password: change it.\n"
    return Mail(to=to, subject="Your sign-in code", text=text + warning)


def second_factor_changed(to: str, what: str) -> Mail:
    """Tell that the second step at sign-in is another one."""
    text = f"{what}\n\nIf this was not you, change your password and write to your administrator at once."
    return Mail(to=to, subject="Your second step at sign-in", text=text)


def export_ready(to: str, link: str) -> Mail:
    """Bring the link to somebody's own data."""
    text = f"Your data is ready. For 30 days you can fetch it here, and so can whoever has this link:\n\n    {link}\n"
    return Mail(to=to, subject="Your data", text=text)


def export_failed(to: str) -> Mail:
    """Tell that an export did not work out."""
    return Mail(to=to, subject="Your data", text="Your data could not be put together. Please ask for it again.\n")


def password_changed(to: str) -> Mail:
    """Tell that the password is another one."""
    text = "Your password was changed, and every session was signed out.\n\nIf this was not you, reset it at once."
    return Mail(to=to, subject="Your password was changed", text=text)


def new_address(to: str, code: str, ttl_ms: int) -> Mail:
    """Bring the code that proves a new address."""
    text = f"Your code to use this address from now on is\n\n    {code}\n\nIt is good for {_minutes(ttl_ms)}."
    return Mail(to=to, subject="Confirm your new e-mail address", text=text + _FOOT)


def address_changed(to: str, new: str) -> Mail:
    """Tell the old address that it is no longer the account's."""
    text = f"The address of your account is now {new}.\n\nIf this was not you, write to your administrator at once."
    return Mail(to=to, subject="Your e-mail address was changed", text=text)


def membership_request(to: str, person: str, twin: str, link: str) -> Mail:
    """Ask an administrator, or who invited, to approve (reference 2.4: one click)."""
    text = f"{person} asks to join the digital twin {twin}.\n\nTo approve, open\n\n    {link}\n"
    return Mail(to=to, subject="Membership Request", text=text)


def joining_approved(to: str, twin: str) -> Mail:
    """Tell somebody that the membership is active."""
    return Mail(to=to, subject="Joining Approved", text=f"You are now a member of the digital twin {twin}.\n")


def budget(to: str, spent: tuple[float, int], level: int, twin: str, month: str) -> Mail:
    """Tell a twin's contacts that its month has come to a level of its budget; `spent` is dollars, of how many."""
    cost, of = spent
    text = (
        f"The questions asked of the digital twin {twin} in {month} have come to about {cost:.2f} dollars:\n"
        f"{level} % of its monthly budget of {of} dollars, or more. Nobody is stopped by this: caps do that."
    )
    return Mail(to=to, subject="The budget of a digital twin", text=text)


def invitation(to: str, twin: str, link: str) -> Mail:
    """Invite somebody into a twin."""
    text = f"You are invited to join the digital twin {twin}.\n\nTo join, open\n\n    {link}\n"
    return Mail(to=to, subject="You are invited to a digital twin", text=text)


def account_made(to: str, code: str, ttl_ms: int) -> Mail:
    """Tell somebody whom an administrator added how to set a password."""
    text = (
        f"An administrator made an account for you. Set a password with this code:\n\n    {code}\n\n"
        f"It is good for {_minutes(ttl_ms)}; you can ask for another one at any time."
    )
    return Mail(to=to, subject="Your account", text=text)
