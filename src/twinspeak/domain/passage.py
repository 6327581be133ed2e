"""A piece of a document, as a question gets it and an answer cites it."""

import msgspec


class Passage(msgspec.Struct, frozen=True):
    """A piece of a document of the vault. `number` is how the answer cites it: [number]; `cited` whether it does.

    `score` is for ranking only. `locator` is a URL fragment such as `page=2`, "" for nowhere in particular; `position`
    counts passages in the document. `confidential`: nobody but who asked may be shown its text or its name.
    """

    number: int
    chunk_id: str
    document_id: str
    document_name: str
    text: str
    section: str = ""
    score: float = 0.0
    cited: bool = False
    locator: str = ""
    position: int = 0
    confidential: bool = False
