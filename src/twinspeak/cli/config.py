"""Settings for a command: the environment, and on top of it what the command line says."""

from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from twinspeak.domain.errors import OperatorError
from twinspeak.settings import Settings

S = TypeVar("S", bound=BaseSettings)


def load_settings(**given: Any) -> Settings:  # noqa: ANN401 - whatever the settings' fields take
    """Return the server's settings; None in `given` means: as the environment says. Raises OperatorError."""
    return load(Settings, **given)


def load(kind: type[S], **given: Any) -> S:  # noqa: ANN401 - as above
    """Return settings of `kind`. Raises OperatorError, which names the variable and never shows its value."""
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as problem:
        lines = [f"{_variable(kind, error['loc'])}: {error['msg']}" for error in problem.errors(include_input=False)]
        raise OperatorError("\n".join(lines)) from None
    except SettingsError as problem:
        raise OperatorError(str(problem)) from None


def _variable(kind: type[BaseSettings], location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "settings"
    prefix = kind.model_config.get("env_prefix", "")
    return f"{prefix}{name}".upper() if name in kind.model_fields else name
