"""What no tool may be made to do, whatever a document, a page, a memory or another tool's result says (docs/tools.md).

A model that obeys what it reads is taken for granted. So nothing here asks what a text means: it is compared with what
the user said, with where the other texts of the turn came from, and with where a call leads.

    read_page      goes to addresses that the user wrote or that the web search gave, never to composed ones
    what leaves    carries no word of the vault, of memories, of files or of earlier answers that the user did not say
    ask_twin       asks only a twin that the user named
    memory         keeps the user's own words

A turn that holds nothing but the user's words is free in all of this.
"""

import base64
import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from urllib.parse import unquote

from twinspeak.domain.errors import ToolRefused
from twinspeak.domain.searching import stream_of
from twinspeak.domain.tools import INSTRUCTIONS, SEARCH, WEB, Material
from twinspeak.domain.turn import TurnPlan
from twinspeak.engine.ports import ToolContext

Check = Callable[[ToolContext, dict[str, Any]], None]
"""Looks at a call before it runs. Raises ToolRefused."""

MOST_CHARS = 4_000
"""Characters that a call may carry out of the server."""
_OPAQUE = 24
"""Characters of a word that nobody could have meant as one: it would be something encoded."""
_SHORT = 3
_INSIDE = 6
"""Letters from which on a word is looked for inside of others."""
_DECODED = 200
"""Words of a call that are tried for encodings."""
_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_SPELLED = 5
"""So many single signs in a row spell something out."""
_PUBLIC = frozenset({SEARCH, WEB})
_URL = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)
_TRAILING = ".,;:!?)]}*_"
_COMMON = frozenset(
    stream_of(
        """
    about after again also although always among another because been before being below best better between
    both could current currently definition describe details does doing done down during each either every
    example examples explain find following from further give good have having help here how however information
    into its itself just know last latest least less like list made make many mean meaning means more most much
    must name names need never news next none often only other others over overview page please question recent
    recently same search several shall should show since site some still such summary tell than that the their
    them then there these they this those through today together under until used using very want wants well
    were what when where whether which while whom whose will with within without work works would year years
    your aber alle allem allen aller alles auch beim dabei damit dann dass dazu deine dein denn deren dessen
    dies diese diesem diesen dieser dieses doch durch eine einem einen einer eines etwa euch eure gibt habe
    haben hatte heute hier ihre ihrem ihren ihrer immer jede jedem jeden jeder jedes kann keine keinen konnte
    mehr mein meine muss nach nicht noch nur oder ohne sehr sein seine seinem seinen seiner sich sind sollte
    sowie unter viel viele wann warum welche welcher welches wenn werden wird wurde zum zur zwischen
    """
    )
)
"""Words that stand in every text and carry nothing out."""
_ABOUT_PEOPLE = frozenset(
    stream_of(
        """
    a am an and are as at be birthday by called can city color colour company country date day email favorite
    favourite first food for full goal goals had has he her his i if in interest interests is it job kind
    language likes live lives loves me my named nickname no not now of old on or our person phone prefer
    preference preferences preferred prefers preferring pronouns reading remember remembers role she so speaks
    stated style subject timezone to tone topic topics uses user username users was we wishes you der die das
    den dem des ein er es ich ihr im ist mag nutzer nutzerin sie und von wohnt
    """
    )
)
"""What stands between the words of a fact about somebody."""


def said(plan: TurnPlan) -> str:
    """Return what the user said, in this question and earlier in the conversation; nobody did in a twin's question."""
    if plan.ask.depth:
        return ""
    return "\n".join([*(exchange.question for exchange in plan.history), plan.ask.question])


def tainted(context: ToolContext) -> bool:
    """Tell whether the turn holds text that somebody else may have written, other than its administrators."""
    return any(piece.origin != INSTRUCTIONS for piece in context.material())


def check_address(context: ToolContext, arguments: dict[str, Any]) -> None:
    """Let a page be read that the user named or the web search found. Raises ToolRefused."""
    if not tainted(context):
        return
    wanted = _plain(str(arguments.get("url", "")))
    named = said(context.plan)
    addresses = {_plain(match) for match in _URL.findall(named)}
    # An address that was found stands on a line of its own; what stands in titles and texts is other people's.
    found = (line for piece in context.material() if piece.origin == SEARCH for line in piece.text.splitlines())
    addresses.update(_plain(line) for line in found if _URL.fullmatch(line))
    bare = {_plain(word) for word in named.split() if "." in word}
    if wanted not in addresses and wanted not in bare:
        raise _refused(
            "address_not_given",
            "only addresses that the user wrote, or that web_search returned, may be read; ask for the address",
        )


def check_twin(context: ToolContext, names: Iterable[str]) -> None:
    """Let a twin be asked that the user named. Raises ToolRefused."""
    if not tainted(context):
        return
    words = f" {' '.join(stream_of(said(context.plan)))} "
    wanted = (" ".join(stream_of(name)) for name in names)
    if not any(name and f" {name} " in words for name in wanted):
        raise _refused("twin_not_named", "only a digital twin that the user named may be asked")


def check_words(context: ToolContext, fields: Iterable[str]) -> None:
    """Let what the user said be remembered. Raises ToolRefused."""
    if not tainted(context):
        return
    own, single = set(stream_of(said(context.plan))), 0
    for word in (word for field in fields for word in stream_of(field.replace("_", " "))):
        single += len(word) == 1
        plain = word in _ABOUT_PEOPLE or word in _COMMON or (len(word) == 1 and single <= _SHORT)
        if not plain and not _spoken(word, own):
            raise _refused("not_said", "this turn has read other texts, so only the user's own words may be kept")


def check_leaving(context: ToolContext, values: object, *, to: str, known: frozenset[str] = frozenset()) -> None:
    """Let nothing leave that is the twin's or a person's, and that the user did not say. Raises ToolRefused.

    `to` is where it goes: what came from there may go back. `known` are words that are no data, such as field names.
    """
    texts = list(_texts(values, known))
    if sum(map(len, texts)) > MOST_CHARS:
        raise _refused("too_much", f"at most {MOST_CHARS} characters may be sent out of this server at once")
    held = [piece for piece in context.material() if piece.origin not in _PUBLIC and piece.origin != to]
    if not held:
        return
    own, back = set(stream_of(said(context.plan))), _back(context.material(), to)
    kept = _Kept(word for piece in held for word in _split(piece.text))
    for reading in (reading for text in texts for reading in _readings(text)):
        strange = ["" if word in _COMMON or word in back or _spoken(word, own) else word for word in _split(reading)]
        if _encoded(strange) or any(map(kept.hold, _with_neighbours(strange))):
            raise _refused(
                "carries_data",
                "it would carry something out that stands in documents, memories or earlier answers. Use the user's "
                "own words, and nothing encoded",
            )


class _Kept:
    """The words of texts that stay here, as they are found again: also backwards, and inside of longer ones."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = {word for word in words if _telling(word)}
        self._joined = "\0".join(word for word in self._words if len(word) >= _INSIDE)

    def hold(self, word: str) -> bool:
        if not _telling(word):
            return False
        if word in self._words or word[::-1] in self._words or (len(word) >= _INSIDE and word in self._joined):
            return True
        ends = range(_INSIDE, len(word))
        return any(word[at : at + size] in self._words for size in ends for at in range(len(word) - size + 1))


def _refused(reason: str, why: str) -> ToolRefused:
    return ToolRefused(f"Refused by policy: {why}.", details={"reason": reason})


def _plain(url: str) -> str:
    """Return an address as it is compared: without scheme, what follows a sentence, and a last slash."""
    bare = url.strip().rstrip(_TRAILING).partition("#")[0]
    host, slash, rest = re.sub(r"^https?://", "", bare, flags=re.IGNORECASE).partition("/")
    return (host.lower() + slash + rest).rstrip("/")


def _back(material: Iterable[Material], to: str) -> set[str]:
    return {word for piece in material if piece.origin == to or piece.origin in _PUBLIC for word in _split(piece.text)}


def _split(text: str) -> Iterator[str]:
    """Yield words, letters and digits apart from one another too: `pin4711` carries what `pin 4711` does."""
    for word in stream_of(text.replace("_", " ")):
        yield word
        parts = re.findall(r"\d+|[^\W\d]+", word)
        if len(parts) > 1:
            yield from parts


def _telling(word: str) -> bool:
    return len(word) > _SHORT or not word.isascii()


def _encoded(words: list[str]) -> bool:
    """Tell whether there is a word that nobody could have meant as one, or one that is spelled out."""
    single = 0
    for word in words:
        single = single + 1 if len(word) == 1 else 0
        if single >= _SPELLED or len(word) >= _OPAQUE:
            return True
    return False


def _with_neighbours(words: list[str]) -> Iterator[str]:
    """Yield words, and what two or three in a row are together: `sword fish` says what `swordfish` does."""
    for at, word in enumerate(words):
        if word:
            yield word
            for end in (at + 2, at + 3):
                if all(words[at:end]) and len(words) >= end:
                    yield "".join(words[at:end])


def _readings(text: str) -> Iterator[str]:
    """Yield a text as it is written, and what it says to somebody who undoes the usual ways of encoding."""
    yield text
    plain = unquote(text)
    if plain != text:
        yield plain
    yield codecs.encode(plain, "rot13")
    for token in _TOKEN.findall(plain)[:_DECODED]:
        for read in (base64.b16decode, base64.urlsafe_b64decode, base64.b32decode):
            found = _decoded(read, token)
            if found:
                yield found


def _decoded(read: Callable[[str], bytes], token: str) -> str:
    wanted = token.upper() if read is not base64.urlsafe_b64decode else token.replace("+", "-").replace("/", "_")
    padding = "" if read is base64.b16decode else "=" * (-len(wanted) % (8 if read is base64.b32decode else 4))
    try:
        found = read(wanted + padding).decode()
    except (ValueError, UnicodeDecodeError):
        return ""
    return found if found.isprintable() else ""


def _spoken(word: str, own: set[str]) -> bool:
    """Tell whether the user said a word, in this form or one that differs in its ending."""
    if word in own:
        return True
    if word.isdigit() or len(word) <= _SHORT:
        return False
    return any(
        other[: max(4, len(word) - 3)] == word[: max(4, len(word) - 3)] and abs(len(other) - len(word)) <= _SHORT
        for other in own
        if len(other) > _SHORT
    )


def _texts(value: object, known: frozenset[str]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if key not in known:
                yield key
            yield from _texts(item, known)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value):
            yield from _texts(item, known)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
