"""What is kept of a prompt, for administrators to see."""

import msgspec


class PromptSeen(msgspec.Struct, frozen=True):
    """What a model was sent first: the named pieces of the system text but for passages, and its size.

    `messages` counts question and conversation; `tokens` is an estimate; `compacted`: something was cut to fit.
    """

    fragments: tuple[tuple[str, str], ...] = ()
    messages: int = 0
    tokens: int = 0
    compacted: bool = False
