"""Another chromadb collection over HTTP as a source: http://127.0.0.1:8000/NAME, asked by reading calls alone.

Nobody is contacted but the address that the user names: no proxy is used, no redirection followed. Tenant and database
other than the default ones are named as ?tenant=…&database=….
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPMessage
from typing import IO, Any
from urllib.error import URLError
from urllib.parse import parse_qs, quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from forensics.user_files import Given, of_rows

SCHEMES = ("http://", "https://")
SECONDS = 60
PAGE = 1_000
MOST_BYTES = 1 << 30
"""An answer longer than this is not read."""


class _Stays(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def is_address(name: str) -> bool:
    """True for what is asked over HTTP and is no file."""
    return name.lower().startswith(SCHEMES)


def collection_name(address: str) -> str:
    """The collection that an address names. Raises ValueError where it names none."""
    name = unquote(urlsplit(address).path.strip("/"))
    if not name or "/" in name:
        raise ValueError("name the server and one collection: http://HOST:PORT/COLLECTION")
    return name


def read_collection(address: str) -> Given:
    """All ids of a collection with vectors and documents. Raises ValueError for an answer that is none, OSError where
    the server cannot be reached or refuses."""
    parts, query = urlsplit(address), parse_qs(urlsplit(address).query)
    tenant = query.get("tenant", ["default_tenant"])[0]
    database = query.get("database", ["default_database"])[0]
    base = f"{parts.scheme}://{parts.netloc}/api/v2/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}"
    found = _asked(f"{base}/collections/{quote(collection_name(address), safe='')}")
    return of_rows(_rows(f"{base}/collections/{quote(str(found['id']), safe='')}/get"))


def _rows(address: str) -> Iterator[dict[str, Any]]:
    offset = 0
    while True:
        page = _asked(address, {"limit": PAGE, "offset": offset, "include": ["embeddings", "documents"]})
        count = len(page["ids"])
        empty = [None] * count
        for name, vector, text in zip(
            page["ids"], page.get("embeddings") or empty, page.get("documents") or empty, strict=True
        ):
            yield {"id": name, "vector": vector, "document": text}
        offset += count
        if count < PAGE:
            return


def _asked(address: str, body: object = None) -> Any:
    """The JSON that the server answers."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(address, data=data, headers={"Content-Type": "application/json"})
    try:
        with build_opener(ProxyHandler({}), _Stays()).open(request, timeout=SECONDS) as answer:
            raw = answer.read(MOST_BYTES + 1)
    except URLError as error:
        raise ConnectionError(f"the server does not give it: {error.reason}") from error
    if len(raw) > MOST_BYTES:
        raise ValueError(f"an answer of more than {MOST_BYTES} bytes")
    return json.loads(raw)
