"""What this process uses of the machine, read from Linux's /proc and cgroup files; zeros and None elsewhere."""

from pathlib import Path

import msgspec

_STATUS = Path("/proc/self/status")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNLIMITED = 1 << 60
"""Version 1 of cgroups writes "no limit" as a number about this large."""


class Memory(msgspec.Struct, frozen=True):
    """Bytes: `heap_total` reserved for data, `heap_used` the part of it in memory, `external` mapped files in memory.

    `limit` is the container's, None when it has none.
    """

    rss: int = 0
    heap_total: int = 0
    heap_used: int = 0
    external: int = 0
    limit: int | None = None


def memory() -> Memory:
    """Read the figures as they are now; a few virtual files, so it is quick enough for the event loop."""
    sizes = _sizes(_read(_STATUS))
    return Memory(
        rss=sizes.get("VmRSS", 0),
        heap_total=sizes.get("VmData", 0),
        heap_used=sizes.get("RssAnon", 0),
        external=sizes.get("RssFile", 0) + sizes.get("RssShmem", 0),
        limit=_limit(),
    )


def _sizes(status: str) -> dict[str, int]:
    """Pick the lines like `VmRSS:     1234 kB`."""
    sizes: dict[str, int] = {}
    for line in status.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB" and words[0].isdigit():
            sizes[name] = int(words[0]) * 1024
    return sizes


def _limit() -> int | None:
    for path in _LIMITS:
        text = _read(path).strip()
        if text.isdigit():
            return int(text) if int(text) < _UNLIMITED else None
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
