"""What a judge reads in a recorded body."""

from dataclasses import dataclass, field


@dataclass
class Reading:
    """`tools` are (id, name, arguments as sent); `usage` is (input, cached, completion), None where none was told."""

    text: str = ""
    thinking: str = ""
    tools: list[tuple[str, str, str]] = field(default_factory=list)
    usage: tuple[int, int, int] | None = None
    stop: str = ""
    fails: bool = False


def whole(text: str) -> str:
    """Join surrogate pairs that two strings shared; half a pair is U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
