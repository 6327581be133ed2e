"""Tools: plain typed functions, and the JSON Schema that their signatures give.

    async def roll(context: ToolContext, sides: Annotated[int, Meta(ge=2, description="…")] = 6) -> ToolOutcome: ...

The first parameter is the context, the others are the model's arguments; `Meta` (of msgspec) limits and describes them.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, get_type_hints

import msgspec

from twinspeak.domain.assistant import SELECTED_TOOLS
from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.turn import ToolOutcome, ToolSpec, TurnPlan
from twinspeak.engine.ports import ToolContext

ToolFunction = Callable[..., Awaitable[ToolOutcome]]
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
"""What every vendor takes as a function's name."""


def always(plan: TurnPlan) -> bool:
    """Offer a tool on every turn."""
    del plan
    return True


class Tool:
    """One tool: what the model is told of it, and how to call it."""

    def __init__(
        self,
        function: ToolFunction,
        *,
        description: str,
        display: DisplayInfo,
        offered: Callable[[TurnPlan], bool] = always,
    ) -> None:
        """Read name and parameters off `function`.

        Raises ValueError for a name that vendors refuse, TypeError for a signature that cannot be a schema.
        """
        self.name = _name_of(function)
        self.offered = offered
        self._function = function
        self._arguments = _arguments_of(function)
        self.display = display
        self.spec = ToolSpec(
            name=self.name,
            description=description,
            parameters=_schema_of(self._arguments),
            icon=display.icon,
            label=display.label,
        )

    async def __call__(self, context: ToolContext, arguments: dict[str, Any]) -> ToolOutcome:
        """Check `arguments` against the signature and run.

        Numbers and booleans that a model wrote as strings are taken. Raises ToolError, saying what is wrong, for
        arguments that do not fit; else whatever the function raises.
        """
        try:
            checked = msgspec.convert(arguments, self._arguments, strict=False)
        except msgspec.ValidationError as error:
            raise ToolError(f"The arguments of {self.name} are wrong: {error}.") from error
        fields = self._arguments.__struct_fields__
        return await self._function(context, **{field: getattr(checked, field) for field in fields})


class Registry:
    """The tools of this server, by name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        """Keep `tools` in order. Raises ValueError when two share a name."""
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are called {tool.name}")
            self._tools[tool.name] = tool

    def __iter__(self) -> Iterator[Tool]:
        """Go through the tools in order."""
        return iter(self._tools.values())

    def get(self, name: str) -> Tool | None:
        """Return the tool called `name`."""
        return self._tools.get(name)

    def offered(self, plan: TurnPlan) -> list[Tool]:
        """Return the tools that the model of this turn may call: of those, an assistant may use a selection alone."""
        chosen = _chosen(plan)
        wanted = [tool for tool in self if chosen is None or tool.name in chosen]
        return [tool for tool in wanted if tool.offered(plan)] if plan.model.takes_tools else []

    def specs(self, plan: TurnPlan) -> list[ToolSpec]:
        """Return how the offered tools are told to the model: an assistant may describe them in words of its own."""
        chosen = _chosen(plan) or {}
        return [_described(tool.spec, chosen.get(tool.name, "")) for tool in self.offered(plan)]


def _chosen(plan: TurnPlan) -> dict[str, str] | None:
    """Return the tools that the turn's assistant has selected, with its own words for each; None for all tools."""
    assistant = plan.assistant
    if assistant is None or assistant.tool_mode != SELECTED_TOOLS:
        return None
    return {chosen.tool: chosen.instructions for chosen in assistant.tools}


def _described(spec: ToolSpec, instructions: str) -> ToolSpec:
    return msgspec.structs.replace(spec, description=instructions) if instructions else spec


def _name_of(function: ToolFunction) -> str:
    name = getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a tool's name")
    return name


def _arguments_of(function: ToolFunction) -> type[msgspec.Struct]:
    """Make a struct of the parameters after the first; unknown keys are refused, so that no model talks past a tool."""
    hints = get_type_hints(function, include_extras=True)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{function.__name__}: a tool cannot take *{parameter.name}")
        if parameter.name not in hints:
            raise TypeError(f"{function.__name__}: parameter {parameter.name} has no type")
        kind = hints[parameter.name]
        has_default = parameter.default is not parameter.empty
        fields.append((parameter.name, kind, parameter.default) if has_default else (parameter.name, kind))
    return msgspec.defstruct(function.__name__, fields, kw_only=True, forbid_unknown_fields=True, frozen=True)


def _schema_of(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the schema with its top level in place: vendors refuse one that starts with a reference."""
    schema = msgspec.json.schema(arguments)
    definitions: dict[str, Any] = schema.pop("$defs", {})
    top: dict[str, Any] = definitions.pop(arguments.__name__)
    top.pop("title", None)
    return {**top, "$defs": definitions} if definitions else top
