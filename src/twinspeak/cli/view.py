"""How an answer looks while it comes: reasoning dimmed, tools, text, then sources and what it cost."""

import json
from enum import StrEnum

from rich.console import Console
from rich.status import Status
from rich.style import Style

from twinspeak.cli.events import Complete, Event, Source, Text, Thinking, ToolCall, ToolProgress, ToolResult
from twinspeak.cli.terminal import write

DIM = Style(dim=True)
BAD = Style(color="red")
_ARGUMENT_CHARS = 80


class Output(StrEnum):
    """What `twinspeak chat` prints: everything, the answer alone, or each event as a line of JSON."""

    FULL = "full"
    ANSWER = "answer"
    JSON = "json"


class View:
    """Shows one answer. `text` is the answer so far, whatever is printed of it."""

    def __init__(self, results: Console, notes: Console, output: Output) -> None:
        """Take where results and remarks are written; on a terminal both are the same console."""
        self.text = ""
        self._results = results
        self._notes = notes
        self._output = output
        self._labels: dict[str, str] = {}
        self._thought: dict[int, str] = {}
        self._open_line: Console | None = None
        self._waiting: Status | None = None

    def begin(self) -> None:
        """Show that the question is on its way; a moving sign, on a terminal only."""
        if self._output is Output.FULL and self._notes.is_terminal:
            self._waiting = self._notes.status("Waiting for the answer", spinner_style="dim")
            self._waiting.start()

    def show(self, event: Event, raw: str) -> None:
        """Show one event; `raw` is its JSON."""
        if self._output is Output.JSON:
            write(self._results, raw + "\n")
        match event:
            case Text():
                self._show_text(event)
            case Thinking():
                self._show_thinking(event)
            case ToolCall():
                self._labels[event.call_id] = (event.display and event.display.label) or event.name
                self._note(f"→ {self._labels[event.call_id]}{_argument(event)}")
            case ToolProgress(progress=float() as progress):
                self._note(f"  {self._labels.get(event.call_id, 'Working')}: {progress:.0%}")
            case ToolResult():
                self._show_result(event)
            case Complete():
                self._show_end(event)
            case _:
                pass

    def end(self) -> None:
        """Leave the terminal in order, however the answer ended."""
        if self._waiting:
            self._waiting.stop()
            self._waiting = None
        if self._open_line:
            write(self._open_line, "\n")
            self._open_line = None

    def remark(self, text: str, style: Style = DIM) -> None:
        """Write a line about the answer, not of it."""
        self.end()
        if self._output is not Output.JSON:
            write(self._notes, f"{text}\n", style)

    def _show_text(self, event: Text) -> None:
        new = event.delta
        if new is None:  # a server that sends only the whole text so far
            new = (event.prompt or "").removeprefix(self.text)
        if not new:
            return
        self.text += new
        if self._output is not Output.JSON:
            self._into(self._results)
            write(self._results, new)
            self._open_line = self._results if not new.endswith("\n") else None

    def _show_thinking(self, event: Thinking) -> None:
        before = self._thought.get(event.round, "")
        # The closing frame holds the whole text: what of it was not shown yet is.
        new = (event.text or "").removeprefix(before) if event.done else event.delta or ""
        self._thought[event.round] = before + new
        if self._output is Output.FULL and new:
            self._into(self._notes)
            write(self._notes, new, DIM)
            self._open_line = self._notes if not new.endswith("\n") else None
        if event.done and self._output is Output.FULL:
            self.end()

    def _show_result(self, event: ToolResult) -> None:
        label = self._labels.get(event.call_id) or event.name
        took = f" ({event.duration_ms:.0f} ms)" if event.duration_ms is not None else ""
        if event.success:
            self._note(f"✓ {label}{took}")
        else:
            reason = f": {' '.join((event.response or '').split())[:200]}" if event.response else ""
            self._note(f"✗ {label}{took}{reason}", BAD)

    def _show_end(self, event: Complete) -> None:
        answer = "".join(event.outputs)
        if self._output is not Output.JSON and answer != self.text:
            self._correct(answer)
        self.text = answer
        self.end()
        if self._output is not Output.FULL:
            return
        cited = [source for source in event.sources if source.cited]
        if cited:
            write(self._results, "\nSources\n" + "".join(f"[{source.number}] {_title(source)}\n" for source in cited))
        self._note(_summary(event))

    def _correct(self, answer: str) -> None:
        """Print what the final answer has and the stream had not; a moderated answer replaces it all."""
        rest = answer.removeprefix(self.text)
        if rest == answer and self.text:
            self.remark("The answer was replaced:")
        self._into(self._results)
        write(self._results, rest)
        self._open_line = self._results if not rest.endswith("\n") else None

    def _note(self, text: str, style: Style = DIM) -> None:
        if self._output is Output.FULL:
            self.remark(text, style)

    def _into(self, console: Console) -> None:
        """Stop waiting, and begin a new line when the one before is somebody else's: reasoning next to an answer."""
        if self._waiting or (self._open_line and self._open_line is not console):
            self.end()


def _argument(event: ToolCall) -> str:
    """Return the call's one text argument as people read it, else its arguments as JSON, cut."""
    if not event.arguments:
        return ""
    texts = [value for value in event.arguments.values() if isinstance(value, str)]
    shown = texts[0] if len(texts) == 1 else json.dumps(event.arguments, ensure_ascii=False)
    shown = " ".join(shown.split())
    return f": {shown[:_ARGUMENT_CHARS]}{'…' if len(shown) > _ARGUMENT_CHARS else ''}"


def _title(source: Source) -> str:
    title = f"{source.name}, {source.section}" if source.section else source.name
    return " ".join(title.split())


def _summary(event: Complete) -> str:
    parts = [event.model or "unknown model"]
    if event.usage is not None:
        parts.append(f"{event.usage} tokens{' (estimated)' if event.usage_estimated else ''}")
    if event.credits is not None:
        left = f", {event.total_credits} left" if event.total_credits is not None else ""
        parts.append(f"{event.credits} credit{'' if event.credits == 1 else 's'}{left}")
    if event.duration_ms is not None:
        parts.append(f"{event.duration_ms / 1000:.1f} s")
    parts += [word for word, said in (("cancelled", event.cancelled), ("cut at the limit", event.truncated)) if said]
    return " · ".join(parts)
