"""Telling what runs that somebody may no longer: sockets close and answers end at once (contract section 3)."""

from collections.abc import Callable, Collection, Iterable

Ended = Callable[[str, Collection[str] | None], None]
"""Is told (user id, ids of sessions that ended; None = all of the user). Must neither block nor raise."""
Left = Callable[[str, str], None]
"""Is told (user id, institution id) when what somebody may do in a twin has become less. As above."""


class Revocations:
    """Who wants to know, and telling them. For the event loop's thread."""

    def __init__(self) -> None:
        """Nobody wants to know yet."""
        self._ended: list[Ended] = []
        self._left: list[Left] = []

    def on_ended(self, listener: Ended) -> None:
        """Have `listener` told of sessions that end before their time."""
        self._ended.append(listener)

    def tell(self, ended: Ended, left: Left) -> None:
        """Have both told: `left` of memberships that end or shrink, and of twins that close."""
        self._ended.append(ended)
        self._left.append(left)

    def ended(self, user_id: str, session_ids: Collection[str] | None) -> None:
        """Sessions of a user have ended: these, or with None all."""
        for listener in self._ended if session_ids is None or session_ids else ():
            listener(user_id, session_ids)

    def left(self, user_ids: Iterable[str], institution_id: str) -> None:
        """Users may do less in a twin than before."""
        for user_id in user_ids:
            for listener in self._left:
                listener(user_id, institution_id)
