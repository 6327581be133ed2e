"""Who reads, finds and changes what in the vaults: data for `test_access`, written by hand from reference content 3.2
and contract section 3, never from the code.

People: in the twin oak (account north) member, guest (whom a page launched, without an address of his own), left (an
administrator whose membership was suspended), bare and admin (administrators without and with every verb), acting (the
super administrator, who acts as admin); in elm (account south) other, stranger (an administrator), manager (who manages
all of south); in fir (south too) firs; super; nobody, who is in no twin.

Letters: w changes it, r reads it, - is told that there is no such thing. Capitals: by its id, or by naming its twin;
it is not in the twin that he is in, so that he does not come upon it.
"""

from typing import Any, NamedTuple

PEOPLE = (
    "member", "guest", "left", "bare", "admin", "acting", "other", "stranger", "manager", "firs", "super", "nobody",
)  # fmt: skip


def table(text: str) -> dict[str, dict[str, str]]:
    """Read lines of a name and a letter for each of `PEOPLE`."""
    lines = [line.rsplit(maxsplit=len(PEOPLE)) for line in text.strip("\n").splitlines()]
    return {name.strip(): dict(zip(PEOPLE, letters, strict=True)) for name, *letters in lines}


DOCUMENTS = table(
    #                 member guest left bare admin acting other stranger manager firs super nobody
    """
own                   w      -     -    -    -     -      -     -        -       -    -     -
own public            w      -     -    -    -     -      -     -        -       -    -     -
twin                  r      r     -    w    w     w      -     -        -       -    W     -
twin public           r      r     -    w    w     w      -     -        -       -    W     -
twin confidential     -      -     -    -    w     -      -     -        -       -    -     -
left confidential     -      -     -    -    -     -      -     -        -       -    -     -
account               -      -     -    -    -     -      r     r        w       r    W     -
account public        -      -     -    -    -     -      r     r        w       r    W     -
account confidential  -      -     -    -    -     -      -     -        w       -    -     -
sibling               -      -     -    -    -     -      -     -        W       r    W     -
"""
)
PUBLIC = {name for name in DOCUMENTS if name.endswith("public")}
FOLDERS = table(
    """
own folder            w      -     -    -    -     -      -     -        -       -    -     -
twin folder           r      r     -    w    w     w      -     -        -       -    W     -
account folder        -      -     -    -    -     -      r     r        w       r    W     -
sibling folder        -      -     -    -    -     -      -     -        W       r    W     -
"""
)
TWINS = table(
    """
oak                   r      r     -    w    w     w      -     -        -       -    w     -
elm                   -      -     -    -    -     -      r     w        w       -    w     -
fir                   -      -     -    -    -     -      -     -        w       r    w     -
"""
)
"""Whether he may name a twin, and add to its vault."""
LIES_IN = {
    "oak": ("own", "own public", "twin", "twin public", "twin confidential", "left confidential"),
    "elm": ("own", "own public", "account", "account public", "account confidential"),
    "fir": ("own", "own public", "account", "account public", "sibling"),
}
"""What may be seen in a twin by who may see it."""
SHARES = ("manager", "super")
"""Who puts something into elm's account's vault."""


class Line(NamedTuple):
    """A request and the statuses for w, r and -; None: it would take the thing away from the others."""

    route: str
    body: dict[str, Any]
    changes: int | None
    reads: int
    nothing: int


# In this order each leaves the document as the next one needs it. A reading that waits cannot be begun again (409).
ON_DOCUMENTS = (
    Line("GET /api/user/upload/{id}", {}, 200, 200, 404),
    Line("POST /api/user/embeddings", {"upload": "{id}"}, 200, 200, 404),
    Line("PUT /api/user/upload/{id}", {"file_title": "T"}, 200, 403, 404),
    Line("PUT /api/user/upload/{id}", {"status": "deleted"}, None, 403, 404),
    Line("PUT /api/user/upload/{id}", {"status": "selected", "is_public": True, "institution": ""}, None, 403, 404),
    Line("DELETE /api/user/upload/{id}", {}, None, 403, 404),
    Line("PUT /api/user/embedding/{chunk}", {"chunkText": "{text}"}, 200, 403, 404),
    Line("POST /api/user/files/{id}/reprocess", {"mode": "embed"}, 200, 403, 404),
    Line("PUT /api/user/reload/{id}", {}, 409, 403, 404),
    Line("PUT /api/user/reingest/{id}", {}, 409, 403, 404),
    Line("POST /api/user/files/{id}/cancel", {}, 200, 403, 404),
)
# {errand} is a document of who asks, {mine} a folder of his: what goes into a folder of another vault is refused (409).
ON_FOLDERS = (
    Line("POST /api/user/collection/{id}/files", {}, 200, 200, 404),
    Line("PUT /api/user/collection/{id}", {"color": "#3b82f6"}, 200, 403, 404),
    Line("PUT /api/user/collection/{id}", {"parent": ""}, 200, 403, 404),
    Line("DELETE /api/user/collection/{id}", {}, None, 403, 404),
    Line("POST /api/user/collection", {"name": "Below", "parent": "{id}"}, 200, 403, 404),
    Line("PUT /api/user/collection/{mine}", {"parent": "{id}"}, 409, 403, 404),
    Line("PUT /api/user/upload/{errand}", {"collection": "{id}"}, 409, 403, 404),
    Line("POST /api/user/files", {"collection": "{id}"}, 409, 403, 404),
    Line("POST /api/user/url", {"url": "http://127.0.0.1:9/", "collection": "{id}"}, 409, 403, 404),
)
IN_HIS_OWN = {
    "PUT /api/user/collection/{mine}": 200,
    "PUT /api/user/upload/{errand}": 200,
    "POST /api/user/files": 200,
    "POST /api/user/url": 422,
}
"""What is refused for another vault's folder, into his own. The address is one that nobody may have fetched."""
ON_TWINS = (
    Line("POST /api/user/uploads", {"institution": "{id}"}, 200, 200, 403),
    Line("POST /api/user/collections", {"institution": "{id}"}, 200, 200, 403),
    Line("POST /api/user/collection", {"name": "New", "institution": "{id}"}, 200, 403, 403),
    Line("POST /api/user/files", {"institution": "{id}"}, 200, 403, 403),
    Line("POST /api/user/url", {"url": "http://127.0.0.1:9/", "institution": "{id}"}, 422, 403, 403),
    Line("PUT /api/user/upload/{errand}", {"institution": "{id}"}, 200, 403, 403),
)
ON_TURNS = ("GET /api/user/history/{id}/ragSearch", "GET /api/user/history/{id}/sources")
OPENING = "GET /uploads/{userId}/{filename}"
BULK = "POST /api/user/bulk/action"
ACTIONS = ("delete", "include", "exclude", "reprocess", "moveVault", "moveToCollection", "public", "private")
SEARCHES = ("POST /api/user/files/search-content", "POST /api/user/searchRag")

GONE = {
    "unknown": 404,
    "erased": 404,
    "hidden": 404,
    "of another kind": 404,
    "too short": 400,
    "no digits": 400,
}
"""What else an id may be, for everybody: whoever could change what is hidden may get it back (`test_uploads`)."""

PARTS: dict[str, str] = {
    "POST /api/user/files": "institution collection | files account_shared confidential fileConfidential skipIndexing",
    "POST /api/user/uploads": "institution"
    " | vault status fileNameSearch sortBy sortAscending lean compact page pageSize",
    "GET /api/user/upload/{id}": "id |",
    "PUT /api/user/upload/{id}": "id institution collection"
    " | originalname file_title file_summary file_authors status is_public is_private account_shared",
    "DELETE /api/user/upload/{id}": "id |",
    "POST /api/user/files/{fileId}/reprocess": "fileId | mode",
    "POST /api/user/files/{fileId}/cancel": "fileId |",
    "POST /api/user/embeddings": "upload |",
    "PUT /api/user/embedding/{id}": "id | chunkText",
    "POST /api/user/files/search-content": "selectedUploadIds | query minScore limit",
    "POST /api/user/searchRag": "assistantId | search",
    "POST /api/user/collections": "institution | vault",
    "POST /api/user/collection": "parent institution | name color account_shared",
    "PUT /api/user/collection/{id}": "id parent | name color",
    "DELETE /api/user/collection/{id}": "id |",
    # It lists a folder: the twin is the folder's, whichever is named.
    "POST /api/user/collection/{id}/files": "id | institution vault status fileNameSearch sortBy sortAscending lean"
    " compact page pageSize",
    "POST /api/user/bulk/action": "ids target | type action",
    "POST /api/user/url": "institution collection | url scrape skipIndexing confidential account_shared",
    "PUT /api/user/reingest/{fileId}": "fileId | skipIndexing",
    "PUT /api/user/reload/{fileId}": "fileId |",
    "GET /api/user/history/{id}/ragSearch": "id |",
    "GET /api/user/history/{id}/sources": "id |",
    # The address's first part says who brought it, and decides nothing.
    "GET /uploads/{userId}/{filename}": "filename | userId",
}
"""Every route of the vault: what in it is an id, and what else there is."""
