"""One request from the benchmark itself, where nothing is measured."""

import json
import urllib.request
from typing import Any


def fetch(url: str) -> dict[str, Any]:
    """Return the JSON object at `url`."""
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 -- loopback
        return json.load(response)
