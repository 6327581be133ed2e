"""The built-in model: answers from the passages it is given by quoting the sentences that fit the question.

It needs no key, no download and no network, costs nothing, and never says what the vault does not say.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence

import msgspec

from twinspeak.domain.credits import estimate_tokens
from twinspeak.domain.events import ModelEvent, ModelStop, ModelText, ModelUsage, StopReason
from twinspeak.domain.turn import ModelRequest, Passage

MAX_SENTENCES = 4
_LEAST_SHARE = 0.45
"""A sentence is quoted when it scores at least this share of the best one."""

_MUCH_TEXT = 20_000
"""Characters beyond which choosing sentences is no work for the event loop (a millisecond is)."""

_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(r"\S+\s*|\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+(?=[\"'(\[]*[^\W_a-z])|(?<=[\u3002\uff01\uff1f])")
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|St|No|vs|etc|e\.g|i\.e|approx|Inc|Ltd))\.$")
_MARKUP = re.compile(r"^\s*(?:#{1,6}\s+.*|[-*+]\s+|\d+[.)]\s+|>\s?)")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CITATION = re.compile(r"\s*\[\d+\]")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a about an and any are as at be been but by can could did do does for from had has have how i if in into is "
        "it its may me might must my no not of on or our shall should so some tell than that the their them then there "
        "these they this those to us was we were what when where which who whom whose why will with would you your"
    )
)

_NOTE = "\n\n*Twinspeak's built-in model quotes the passages that fit; it does not reason about them.*"
_NOTHING = (
    "I found nothing in this twin's documents that answers the question.\n\n"
    "I am Twinspeak's built-in model: I can only quote what is in the knowledge vault. Try other words, add a document "
    "about it, or connect a full language model: set `OPENAI_API_KEY` (for a compatible server `OPENAI_BASE_URL`, and "
    "`TWINSPEAK_DEFAULT_MODEL` for the model's name) and start the server again."
)


class _Sentence(msgspec.Struct, frozen=True):
    """A sentence that may be quoted. `about`: the terms over it. `rank`: how well its passage was found, 0 to 1."""

    text: str
    terms: frozenset[str]
    opening: frozenset[str]
    about: frozenset[str]
    number: int
    position: int
    rank: float


class LocalModel:
    """The provider `local`. `pace_s` is the time between two words (0 = as fast as they are read)."""

    def __init__(self, *, pace_s: float = 0.008) -> None:
        self._pace_s = pace_s

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[ModelEvent]]:
        """Yield the answer word by word, then its usage: the tokens of what it read and wrote, by its own count."""
        limit = request.output_limit or request.model.max_output
        written, stop = "", StopReason.END
        if sum(len(passage.text) for passage in request.passages) > _MUCH_TEXT:
            answer = await asyncio.to_thread(compose, request.question, request.passages)
        else:
            answer = compose(request.question, request.passages)
        for ending in request.sampling.stop:
            answer = answer.partition(ending)[0]
        for piece in _PIECE.findall(answer):
            if estimate_tokens(written + piece) > limit:
                stop = StopReason.LENGTH
                break
            written += piece
            yield [ModelText(piece)]
            await asyncio.sleep(self._pace_s)
        read = "\n".join((request.question, *(passage.text for passage in request.passages)))
        usage = ModelUsage(input=estimate_tokens(read), cached=0, completion=estimate_tokens(written))
        yield [usage, ModelStop(stop)]


def compose(question: str, passages: Sequence[Passage]) -> str:
    """Write the answer: quoted sentences with citations and what they are, or that nothing fits and what to do."""
    chosen = choose(question, passages)
    return _quote(chosen) + _NOTE if chosen else _NOTHING


def choose(question: str, passages: Sequence[Passage]) -> list[_Sentence]:
    """Pick at most `MAX_SENTENCES` sentences, in reading order, sources in the order of their best sentence.

    A sentence scores by the question's terms it holds, rare ones more (idf over all sentences). It helps to begin with
    one of them, to stand under a heading that has them, and to come from a passage that the search ranked high; length
    hurts a little, and a term already quoted counts for less.
    """
    best_rank = max((passage.score for passage in passages), default=0.0)
    sentences = [sentence for passage in passages for sentence in _sentences(passage, best_rank)]
    wanted = terms_of(question)
    counts = Counter(term for sentence in sentences for term in sentence.terms)
    weights = {term: math.log(1 + len(sentences) / (counts[term] + 0.5)) for term in wanted}
    ranked: list[_Sentence] = []
    covered: set[str] = set()
    best = 0.0
    left: list[_Sentence] = list(sentences)
    while left and len(ranked) < MAX_SENTENCES:
        top = max(left, key=lambda sentence: _score(sentence, weights, covered))
        score = _score(top, weights, covered)
        best = best or score
        if not score or score < best * _LEAST_SHARE:
            break
        ranked.append(top)
        covered |= top.terms & wanted
        left = [sentence for sentence in left if sentence.text != top.text]
    order = {sentence.number: place for place, sentence in reversed(list(enumerate(ranked)))}
    return sorted(ranked, key=lambda sentence: (order[sentence.number], sentence.position))


def _score(sentence: _Sentence, weights: dict[str, float], covered: set[str]) -> float:
    hits = [term for term in weights if term in sentence.terms]
    if not hits:
        return 0.0
    gain = sum(weights[term] * (0.4 if term in covered else 1.0) for term in hits)
    gain += 0.25 * sum(weight for term, weight in weights.items() if term in sentence.about)
    gain *= 1.2 if sentence.opening & weights.keys() else 1.0
    return gain * (0.6 + 0.4 * sentence.rank) / (1 + abs(len(sentence.terms) - 12) / 40)


def _quote(sentences: Sequence[_Sentence]) -> str:
    """Write sentences of one source as one paragraph, cited once at its end."""
    paragraphs: dict[int, list[str]] = {}
    for sentence in sentences:
        paragraphs.setdefault(sentence.number, []).append(sentence.text)
    return "\n\n".join(f"{' '.join(texts)} [{number}]" for number, texts in paragraphs.items())


def terms_of(text: str) -> frozenset[str]:
    """Return the words that carry meaning, without their English endings."""
    return frozenset(_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS)


def _stem(word: str) -> str:
    for ending, least in (("ingly", 8), ("ation", 8), ("ings", 7), ("ing", 6), ("ies", 5), ("ers", 6), ("ed", 5)):
        if word.endswith(ending) and len(word) >= least:
            return word[: -len(ending)]
    for ending, least in (("es", 5), ("er", 6), ("s", 4), ("e", 5), ("y", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def _sentences(passage: Passage, best_rank: float) -> Iterator[_Sentence]:
    about = terms_of(f"{passage.section} {passage.document_name}")
    rank = max(0.0, passage.score / best_rank) if best_rank > 0 else 1.0
    for position, text in enumerate(split_sentences(passage.text)):
        terms = terms_of(text)
        if len(terms) >= 2:
            opening = terms_of(" ".join(text.split()[:3]))
            yield _Sentence(text, terms, opening, about, passage.number, position, rank)


def split_sentences(text: str) -> list[str]:
    """Split Markdown or plain text into sentences: headings dropped, list items and table rows each by itself.

    Citation marks that the document itself holds are dropped, or they would point at our passages.
    """
    found: list[str] = []
    for block in _blocks(text):
        plain = _CITATION.sub("", _LINK.sub(r"\1", block)).replace("**", "").strip()
        pending = ""
        for piece in _SENTENCE_END.split(plain):
            pending = f"{pending} {piece}".strip() if pending else piece.strip()
            if pending and not _ABBREVIATION.search(pending):
                found.append(pending)
                pending = ""
        if pending:
            found.append(pending)
    return found


def _blocks(text: str) -> Iterator[str]:
    """Join the lines of a paragraph or a list item; a table row becomes its cells, parted by commas."""
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        bare = line.strip()
        mark = _MARKUP.match(line)
        if lines and (not bare or mark or bare.startswith("|")):
            yield " ".join(lines)
            lines = []
        if bare.startswith("|"):
            cells = [cell.strip() for cell in bare.strip("|").split("|")]
            if any(cell.strip("-: ") for cell in cells):
                yield ", ".join(cell for cell in cells if cell)
        elif bare:
            rest = line[mark.end() :].strip() if mark else bare
            lines += [rest] if rest else []
