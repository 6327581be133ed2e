"""Tools: plain typed functions, and the JSON Schema that their signatures give.

    async def roll(context: ToolContext, sides: Annotated[int, Meta(ge=2, description="…")] = 6) -> ToolOutcome: ...

The first parameter is the context, the others are the model's arguments; `Meta` (of msgspec) limits and describes them.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, get_type_hints

import msgspec

from twinspeak.domain.assistant import SELECTED_TOOLS
from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.tools import Material, ToolRecord
from twinspeak.domain.turn import ToolOutcome, ToolSpec, TurnPlan
from twinspeak.engine.ports import ToolContext
from twinspeak.tools.policy import Check

ToolFunction = Callable[..., Awaitable[ToolOutcome]]
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
"""What every vendor takes as a function's name."""


class CallContext:
    """What one call may use of its turn: the turn's context, and which call it is."""

    def __init__(self, context: ToolContext, call_id: str) -> None:
        """Keep both."""
        self._context = context
        self.call_id = call_id

    @property
    def plan(self) -> TurnPlan:
        """Return what was resolved for the turn."""
        return self._context.plan

    def progress(self, call_id: str, display: DisplayInfo, fraction: float | None) -> None:
        """Tell readers how far a long tool is."""
        self._context.progress(call_id, display, fraction)

    def material(self) -> Sequence[Material]:
        """Return what the turn holds by now that its user did not say."""
        return self._context.material()

    def begun(self, name: str) -> int:
        """Return how many calls of a tool the turn has begun, this one too."""
        return self._context.begun(name)


def always(plan: TurnPlan) -> bool:
    """Offer a tool on every turn."""
    del plan
    return True


class Rules(msgspec.Struct, frozen=True):
    """What holds of every call of a tool.

    `origin` is where its results come from ("" for the server itself), `check` what a call must pass, `most` how often
    a turn may call it, `timeout_s` how long it may take where that is not the runner's own limit.
    """

    origin: str = ""
    check: Check | None = None
    most: int = 16
    timeout_s: float | None = None


class Tool:
    """One tool: what the model is told of it, and how to call it."""

    def __init__(
        self,
        function: ToolFunction,
        *,
        description: str,
        display: DisplayInfo,
        offered: Callable[[TurnPlan], bool] = always,
        rules: Rules | None = None,
    ) -> None:
        """Read name and parameters off `function`.

        Raises ValueError for a name that vendors refuse, TypeError for a signature that cannot be a schema.
        """
        self.name = _name_of(function)
        self.offered = offered
        self.rules = rules or Rules()
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

    async def __call__(self, context: CallContext, arguments: dict[str, Any]) -> ToolOutcome:
        """Check `arguments` against the signature and run.

        Numbers and booleans that a model wrote as strings are taken. Raises ToolError, saying what is wrong, for
        arguments that do not fit, ToolRefused for what a rule forbids; else whatever the function raises.
        """
        try:
            checked = msgspec.convert(arguments, self._arguments, strict=False)
        except msgspec.ValidationError as error:
            raise ToolError(f"The arguments of {self.name} are wrong: {error}.") from error
        if self.rules.check is not None:
            self.rules.check(context, arguments)
        fields = self._arguments.__struct_fields__
        return await self._function(context, **{field: getattr(checked, field) for field in fields})


class AnyTool(Protocol):
    """A tool of this server's, or of another one's (`mcp.remote.RemoteTool`)."""

    @property
    def name(self) -> str:
        """What models call it."""
        ...

    @property
    def spec(self) -> ToolSpec:
        """What models are told of it."""
        ...

    @property
    def display(self) -> DisplayInfo:
        """How people see it."""
        ...

    @property
    def rules(self) -> Rules:
        """What holds of every call."""
        ...

    @property
    def offered(self) -> Callable[[TurnPlan], bool]:
        """Whether a turn has it."""
        ...

    async def __call__(self, context: CallContext, arguments: dict[str, Any]) -> ToolOutcome:
        """Run it. Raises ToolError."""
        ...


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


def granted(plan: TurnPlan, tools: Iterable[AnyTool]) -> list[AnyTool]:
    """Return the tools that the model of this turn may call.

    The gates, in this order (reference content 5.3): what the twin switched off, the tool's own status, the assistant's
    selection, a model that takes tools, and what the caller may use.
    """
    grants, chosen = plan.tool_grants, _chosen(plan)
    if not plan.model.takes_tools:
        return []
    found: list[AnyTool] = []
    for tool in tools:
        record = grants.records.get(tool.name)
        off = tool.name in grants.off or (record is not None and not record.usable)
        if not off and (chosen is None or tool.name in chosen) and tool.offered(plan):
            found.append(tool)
    return found


def told(plan: TurnPlan, tool: AnyTool) -> ToolSpec:
    """Return how a tool is told to the model: an assistant's words come before a record's, and those before its own."""
    words = (_chosen(plan) or {}).get(tool.name, "")
    if words:
        return msgspec.structs.replace(tool.spec, description=words)
    record = plan.tool_grants.records.get(tool.name)
    return tool.spec if record is None else _recorded(tool.spec, record)


def _chosen(plan: TurnPlan) -> dict[str, str] | None:
    """Return the tools that the turn's assistant has selected, with its own words for each; None for all tools."""
    assistant = plan.assistant
    if assistant is None or assistant.tool_mode != SELECTED_TOOLS:
        return None
    return {chosen.tool: chosen.instructions for chosen in assistant.tools}


def _recorded(spec: ToolSpec, record: ToolRecord) -> ToolSpec:
    description = "\n".join(part for part in (record.description or spec.description, record.instructions) if part)
    parameters = spec.parameters
    if any(record.arguments):
        given = iter(record.arguments)
        properties = {
            name: {**schema, "description": words} if (words := next(given, "")) else schema
            for name, schema in parameters.get("properties", {}).items()
        }
        parameters = {**parameters, "properties": properties}
    return msgspec.structs.replace(spec, description=description, parameters=parameters)


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
