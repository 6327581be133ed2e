"""What may be asked of the server, as data: the verbs of administrators, and what a route or a socket event demands.

Who passes is decided in `services.policy` alone. Reference: admin.md sections 1 and 2.
"""

from enum import StrEnum

import msgspec


class Verb(StrEnum):
    """`module.action`: what a membership entitles an administrator to, in its twin.

    The first 27 are the reference's (2.2); `sso.*` its SSO pages' (2.2); `audit.list` is ours.
    """

    INSTITUTIONS_LIST = "institutions.list"
    INSTITUTIONS_ADD = "institutions.add"
    INSTITUTIONS_EDIT = "institutions.edit"
    INSTITUTIONS_DELETE = "institutions.delete"
    USERS_LIST = "users.list"
    USERS_ADD = "users.add"
    USERS_EDIT = "users.edit"
    USERS_DELETE = "users.delete"
    SESSIONS_LIST = "sessions.list"
    SESSIONS_EDIT = "sessions.edit"
    SESSIONS_DELETE = "sessions.delete"
    HISTORIES_LIST = "histories.list"
    HISTORIES_ADD = "histories.add"
    HISTORIES_EDIT = "histories.edit"
    HISTORIES_DELETE = "histories.delete"
    FEEDBACKS_LIST = "feedbacks.list"
    FEEDBACKS_EDIT = "feedbacks.edit"
    FEEDBACKS_DELETE = "feedbacks.delete"
    ASSISTANTS_LIST = "assistants.list"
    ASSISTANTS_ADD = "assistants.add"
    ASSISTANTS_EDIT = "assistants.edit"
    ASSISTANTS_DELETE = "assistants.delete"
    AIMODELS_LIST = "aimodels.list"
    AIMODELS_ADD = "aimodels.add"
    AIMODELS_EDIT = "aimodels.edit"
    AIMODELS_DELETE = "aimodels.delete"
    PAYMENTS_LIST = "payments.list"
    SSO_LIST = "sso.list"
    SSO_ADD = "sso.add"
    SSO_EDIT = "sso.edit"
    SSO_DELETE = "sso.delete"
    AUDIT_LIST = "audit.list"


ALL_VERBS = tuple(str(verb) for verb in Verb)


class Gate(StrEnum):
    """Whom a route or an event lets in, before any id in the request is looked at.

    LINK: everybody, and what the link leads to decides. OPERATOR: this machine, or who bears the operator's token.
    SOCKET: whoever holds the socket, for what the socket carries and for what is its user's own. ADMIN:
    administrators; with a verb, those who hold it in some twin. MANAGER: who manages some account.
    """

    PUBLIC = "public"
    LINK = "link"
    OPERATOR = "operator"
    SOCKET = "socket"
    SIGNED_IN = "signed-in"
    ADMIN = "admin"
    MANAGER = "account-manager"
    SUPER = "super"


class Access(msgspec.Struct, frozen=True):
    """What a route or an event declares: exactly one of these each. A verb goes with `Gate.ADMIN` alone."""

    gate: Gate
    verb: Verb | None = None

    def __str__(self) -> str:
        """Return the verb, or the gate."""
        return str(self.verb or self.gate)


class Reach(msgspec.Struct, frozen=True):
    """The twins in which a caller may use a verb: the reference's RAP (2.3).

    `everything` is for super administrators; `institutions` then says nothing. Never holds a deleted twin.
    """

    institutions: frozenset[str] = frozenset()
    everything: bool = False

    def covers(self, institution_id: str | None) -> bool:
        """Tell whether a twin is within; what belongs to no twin is within everything alone."""
        return self.everything or institution_id in self.institutions

    def __bool__(self) -> bool:
        """Tell whether there is anything within."""
        return self.everything or bool(self.institutions)
