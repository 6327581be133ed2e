"""A newcomer's first questions, and the sentence of the sample documents that must come up for each."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from twinspeak.domain.caller import Scope
from twinspeak.domain.credits import Price, Usage, charge_for
from twinspeak.domain.turn import TurnPlan
from twinspeak.knowledge.chunk import sentences, split
from twinspeak.knowledge.ingest import ingest
from twinspeak.knowledge.retrieve import VaultRetriever
from twinspeak.knowledge.samples import Sample, samples
from twinspeak.persistence.db import Database
from twinspeak.settings import Settings

# question, document, words of the sentence that answers it
QUESTIONS = [
    ("How do I connect a model?", "connecting-a-model.md", "set the environment variable `OPENAI_API_KEY`"),
    ("Can I use Ollama?", "connecting-a-model.md", "Ollama, llama.cpp or vLLM"),
    ("What is a digital twin?", "welcome-to-twinspeak.md", "A digital twin is an AI assistant that belongs to"),
    ("What is the local model?", "welcome-to-twinspeak.md", "The built-in model is named `local`"),
    ("What does an answer cost?", "credits-and-limits.md", "An answer costs about 1 credit for every 10,000 tokens"),
    ("What happens when my credits run out?", "credits-and-limits.md", "the error `insufficient_credits`"),
    ("How can I stop an answer?", "asking-and-streaming.md", "close the connection"),
    ("Can I use the OpenAI Python library?", "asking-and-streaming.md", "point the OpenAI client library"),
    ("How do I stream the answer?", "asking-and-streaming.md", "`POST /api/ai/personal-stream/qanda-stream`"),
    ("Where is my data stored?", "privacy-and-operation.md", "Your data is stored on your own server"),
    ("How do I make a backup?", "privacy-and-operation.md", "copy the whole data directory"),
    ("How do I add another user?", "privacy-and-operation.md", "run `twinspeak user add`"),
    ("When is the library open?", "larkfield-college-handbook.md", "from 8 am to 10 pm on weekdays"),
    ("how much is tuition", "larkfield-college-handbook.md", "4,200 dollars a term"),
    ("I forgot my college password, what now?", "larkfield-college-handbook.md", "visit the IT help desk"),
    ("until when can students drop a course?", "larkfield-college-handbook.md", "until the end of the third week"),
]
TOP = 2


async def test_first_questions_are_answered_from_the_top_passages(
    db: Database, plan: Callable[..., TurnPlan], scope_of: Callable[..., Scope]
) -> None:
    for sample in samples():
        await ingest(db, scope_of("ann", "college"), sample.name, sample.text)
    retriever = VaultRetriever(db)
    for question, document, words in QUESTIONS:
        found = await retriever.search(plan(), question, limit=6)
        right = [passage.number for passage in found if passage.document_name == document and words in passage.text]
        assert right, f"{question}: not found"
        assert right[0] <= TOP, f"{question}: at place {right[0]}"


async def test_questions_about_other_things_find_nothing(
    db: Database, plan: Callable[..., TurnPlan], scope_of: Callable[..., Scope]
) -> None:
    for sample in samples():
        await ingest(db, scope_of("ann", "college"), sample.name, sample.text)
    assert await VaultRetriever(db).search(plan(), "Which elephants live in Botswana?", limit=6) == []


def test_there_are_a_few_short_documents() -> None:
    found = samples()
    assert 4 <= len(found) <= 6
    assert [sample.name for sample in found] == sorted(sample.name for sample in found)
    assert all(1_000 < len(sample.text) < 6_000 for sample in found)


LEANING = re.compile(r"(?:It|They|This|That|These|Those|He|She|There|Then|However|But|And|Also|So)\b")


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_every_sentence_stands_alone(sample: Sample) -> None:
    """The built-in model quotes single sentences, so none may lean on the one before."""
    for chunk in split(sample.text):
        for sentence in sentences(chunk.text):
            assert not LEANING.match(sentence), sentence
            assert sentence[-1] in ".!?", sentence
            assert len(sentence) <= 330, sentence


def sample_text() -> str:
    return " ".join(sample.text for sample in samples())


def test_what_they_say_of_the_product_is_so() -> None:
    """Numbers and names that the code decides. What breaks this changed the product: change the document too."""
    text = sample_text()
    fields = Settings.model_fields
    assert f"every {fields['stream_heartbeat_s'].default} seconds" in text
    assert f"{fields['turns_per_minute_user'].default} questions a minute" in text
    assert f"http://{fields['host'].default}:{fields['port'].default}" in text
    assert fields["data_dir"].default == Path("data")
    assert fields["jwt_ttl_s"].default == 24 * 3600
    assert fields["body_max_bytes"].default == 1024 * 1024
    assert charge_for(Usage(input=9_000, completion=1_000), Price(), produced=True) == 1
    assert charge_for(Usage(input=9_000, completion=1_001), Price(), produced=True) == 2
    assert charge_for(Usage(input=20_000, cached=20_000), Price(), produced=True) == 1
    named = set(re.findall(r"`TWINSPEAK_([A-Z_]+)`", text))
    assert named
    assert named <= {field.upper() for field in fields}
