"""Whom an outside party of a twin is believed about: its sign-in provider, or a site's server that knows its secret.

A twin's administrator chooses that party, so it is believed about that twin's people alone (decision 041).
"""

from twinspeak.domain.people import User
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import institutions, people, reach, users
from twinspeak.services.joining import address_within


def harmless(tx: Tx, user: User, institution_id: str) -> bool:
    """Tell whether somebody administers nothing elsewhere: no party of one twin opens another."""
    elsewhere = reach.entitled(tx, user.id, None) - {institution_id}
    return user.account_type != "super" and not elsewhere and not reach.managed_accounts(tx, user.id)


def may_take_over(tx: Tx, user: User, institution_id: str) -> bool:
    """Tell whether an account that is there is this twin's alone, and the address the party's own to vouch for.

    That is so for an account without a password, which an administrator added, or of one of the account's domains.
    """
    if user.account_type != "user" or people.twins_of(tx, user.id) != frozenset({institution_id}):
        return False
    if users.password_hash(tx, user.id) is None:
        return True
    rules = institutions.joining_rules(tx, institution_id)
    return rules is not None and address_within(user.email, rules.domains)
