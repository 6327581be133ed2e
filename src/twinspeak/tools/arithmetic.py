"""Exact arithmetic on what somebody else wrote: numbers, signs, a few functions; never Python's own `eval`.

Fractions all the way, so that 0.1 + 0.2 is 0.3. Roots, logarithms and the like are given to 30 digits, and are said to
be approximate. Every number has a bound, so that no expression can take long.
"""

import ast
import math
import re
from collections.abc import Callable
from decimal import Decimal, DecimalException, localcontext
from fractions import Fraction

import msgspec

MAX_CHARS = 500
_BITS = 20_000
_DIGITS = 50
"""Of approximations; 30 are shown."""
_SHOWN = 30
_NUMBER = re.compile(r"\d[\d_]{0,199}(?:\.\d{0,200})?(?:[eE][+-]?\d{1,3})?|\.\d{1,200}(?:[eE][+-]?\d{1,3})?")
_SIGNS = str.maketrans({"\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-", "\u2013": "-", "^": "\0"})
"""Signs of print: multiplication, middle dot, division, minus, en dash."""


class Wrong(ValueError):
    """The expression cannot be worked out; the text says why."""


class Value(msgspec.Struct, frozen=True):
    """A number; `exact` False for one that is near enough."""

    number: Fraction
    exact: bool = True


def calculate(expression: str) -> str:
    """Return what an expression comes to, as text. Raises Wrong."""
    if len(expression) > MAX_CHARS:
        raise Wrong(f"The expression is longer than {MAX_CHARS} characters.")
    text = expression.translate(_SIGNS).replace("\0", "**").strip()
    try:
        parsed = ast.parse(text, mode="eval")
        return _shown(_Reader(text).value(parsed.body))
    except ZeroDivisionError:
        raise Wrong("It divides by zero.") from None
    except (SyntaxError, MemoryError, RecursionError, DecimalException, OverflowError) as error:
        raise Wrong("This is no arithmetic expression, or too large a one.") from error


class _Reader:
    """Works out a parsed expression; `text` is where the digits of a number are, which the parser has rounded."""

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.Name) and node.id.lower() in _CONSTANTS:
            return Value(_CONSTANTS[node.id.lower()], exact=False)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self.value(node.operand)
            return Value(-inner.number if isinstance(node.op, ast.USub) else inner.number, inner.exact)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        raise Wrong("Only numbers, + - * / // % **, parentheses and the functions named may be used.")

    def _constant(self, node: ast.Constant) -> Value:
        written = ast.get_source_segment(self._text, node) or ""
        if isinstance(node.value, bool) or not _NUMBER.fullmatch(written):
            raise Wrong(f"{written[:40]!r} is no number.")
        return _bounded(Value(Fraction(written.replace("_", ""))))

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Pow):
            return _bounded(_power(left, right))
        work = _OPERATORS.get(type(node.op))
        if work is None:
            raise Wrong("Only + - * / // % and ** may stand between numbers.")
        return _bounded(Value(Fraction(work(left.number, right.number)), left.exact and right.exact))

    def _call(self, node: ast.Call) -> Value:
        name = node.func.id.lower() if isinstance(node.func, ast.Name) else ""
        if node.keywords or name not in _FUNCTIONS:
            raise Wrong(f"Of functions there are {', '.join(sorted(_FUNCTIONS))}.")
        least, most, work = _FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            raise Wrong(f"{name} takes {least} to {most} numbers." if most > least else f"{name} takes {least}.")
        given = [self.value(argument) for argument in node.args]
        found = work([value.number for value in given])
        return _bounded(Value(found.number, found.exact and all(value.exact for value in given)))


def _bounded(value: Value) -> Value:
    if value.number.numerator.bit_length() + value.number.denominator.bit_length() > _BITS:
        raise Wrong("A number on the way is too large.")
    return value


def _power(base: Value, exponent: Value) -> Value:
    power = exponent.number
    if power.denominator == 1:
        size = base.number.numerator.bit_length() + base.number.denominator.bit_length()
        if abs(power.numerator) * size > 2 * _BITS and abs(base.number) != 1:
            raise Wrong("A number on the way is too large.")
        return Value(base.number**power.numerator, base.exact and exponent.exact)
    if base.number < 0:
        raise Wrong("A root of a negative number is no real number.")
    if power == Fraction(1, 2):
        root = _root(base.number)
        return Value(root.number, root.exact and base.exact)
    return _approximate(lambda: _decimal(base.number) ** _decimal(power))


def _root(number: Fraction) -> Value:
    if number < 0:
        raise Wrong("A root of a negative number is no real number.")
    above, below = math.isqrt(number.numerator), math.isqrt(number.denominator)
    if above * above == number.numerator and below * below == number.denominator:
        return Value(Fraction(above, below))
    return _approximate(lambda: _decimal(number).sqrt())


def _approximate(work: Callable[[], Decimal]) -> Value:
    with localcontext() as context:
        context.prec = _DIGITS
        context.Emax, context.Emin = 5_000, -5_000
        found = work()
        if not found.is_finite():
            raise Wrong("The result is no number.")
        return Value(Fraction(found), exact=False)


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def _whole(number: Fraction, least: int, most: int) -> int:
    if number.denominator != 1 or not least <= number.numerator <= most:
        raise Wrong(f"A whole number from {least} to {most} is needed there.")
    return number.numerator


def _round(number: Fraction, places: Fraction = Fraction(0)) -> Value:
    """Round half away from zero, as people do."""
    scale = Fraction(10) ** _whole(places, -200, 200)
    whole = math.floor(abs(number) * scale + Fraction(1, 2))
    return Value(whole / scale * (1 if number >= 0 else -1))


def _logarithm(number: Fraction, base: Fraction | None = None) -> Value:
    if number <= 0 or (base is not None and (base <= 0 or base == 1)):
        raise Wrong("A logarithm needs a number above zero, and a base above zero that is not 1.")
    if base is None:
        return _approximate(lambda: _decimal(number).ln())
    return _approximate(lambda: _decimal(number).ln() / _decimal(base).ln())


_CONSTANTS = {
    "pi": Fraction("3.14159265358979323846264338327950288419716939937510"),
    "e": Fraction("2.71828182845904523536028747135266249775724709369995"),
}
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}
_HUGE = 10**999
_FUNCTIONS: dict[str, tuple[int, int, Callable[[list[Fraction]], Value]]] = {
    "abs": (1, 1, lambda given: Value(abs(given[0]))),
    "ceil": (1, 1, lambda given: Value(Fraction(math.ceil(given[0])))),
    "comb": (2, 2, lambda given: Value(Fraction(math.comb(*(_whole(one, 0, 5_000) for one in given))))),
    "exp": (1, 1, lambda given: _approximate(lambda: _decimal(given[0]).exp())),
    "factorial": (1, 1, lambda given: Value(Fraction(math.factorial(_whole(given[0], 0, 1_000))))),
    "floor": (1, 1, lambda given: Value(Fraction(math.floor(given[0])))),
    "gcd": (2, 2, lambda given: Value(Fraction(math.gcd(*(_whole(one, -_HUGE, _HUGE) for one in given))))),
    "ln": (1, 1, lambda given: _logarithm(given[0])),
    "log": (1, 2, lambda given: _logarithm(given[0], given[1] if len(given) > 1 else Fraction(10))),
    "max": (1, 50, lambda given: Value(max(given))),
    "min": (1, 50, lambda given: Value(min(given))),
    "round": (1, 2, lambda given: _round(*given)),
    "sqrt": (1, 1, lambda given: _root(given[0])),
    "sum": (1, 50, lambda given: Value(sum(given, Fraction(0)))),
}
"""Name -> least and most numbers, and the work."""


def _shown(value: Value) -> str:
    number = value.number
    if not value.exact:
        return f"≈ {_digits(number)}"
    if number.denominator == 1:
        return str(number.numerator)
    written = _finite(number)
    return written or f"{number.numerator}/{number.denominator} ≈ {_digits(number)}"


def _finite(number: Fraction) -> str:
    """Return a fraction as a decimal where that ends within 50 places, else ""."""
    for places in range(1, _DIGITS + 1):
        scaled = number * 10**places
        if scaled.denominator == 1:
            digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
            return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return ""


def _digits(number: Fraction) -> str:
    with localcontext() as context:
        context.prec = _SHOWN
        context.Emax, context.Emin = 50_000, -50_000
        return f"{_decimal(number).normalize():g}" if number else "0"
