"""Exact where that is possible, said to be near where it is not, and never long at work."""

import pytest

from twinspeak.tools.arithmetic import MAX_CHARS, Wrong, calculate

RIGHT = {
    "0.1 + 0.2": "0.3",
    "(1299.90 - 15) * 1.19 ** 3": "2165.2607991",
    "1/3": "1/3 ≈ 0.333333333333333333333333333333",
    "2^10": "1024",
    "2 × 3 ÷ 4 − 1": "0.5",
    "-7 // 2": "-4",
    "-7 % 3": "2",
    "1e3": "1000",
    "12345678901234567890.12345678901234567890": "12345678901234567890.1234567890123456789",
    "sqrt(2.25)": "1.5",
    "sqrt(2)": "≈ 1.41421356237309504880168872421",
    "round(2.5)": "3",
    "round(-2.675, 2)": "-2.68",
    "max(1, 2.5, -3)": "2.5",
    "sum(1, 2, 3)": "6",
    "factorial(20)": "2432902008176640000",
    "comb(49, 6)": "13983816",
    "gcd(12, 18)": "6",
    "log(1000)": "≈ 3",
    "ln(e)": "≈ 1",
    "2 ** -2": "0.25",
    "pi": "≈ 3.14159265358979323846264338328",
    "1_000 + 1": "1001",
    "abs(-3)": "3",
}
WRONG = (
    "", "1 +", "1/0", "1 % 0", "x", "abc(1)", "().__class__", "__import__('os')", "'a' * 3", "[1]", "True",
    "1 if 1 else 2", "lambda: 1", "9**9**9", "10**100000", "factorial(100000)", "comb(10**6, 3)", "1e9999", "0x10",
    "1j", "1,000", "sqrt(-1)", "(-1) ** 0.5", "ln(0)", "log(10, 1)", "round(1.5, 0.5)", "max()", "abs(1, 2)",
    "abs(number=1)", "1 << 3", "~1", "not 1", "1 < 2", "(" * 400, "1;2", "exp(10**9)", "x" * (MAX_CHARS + 1),
    "f'{1}'", "1 @ 2", "...", "None", "((((1))))(2)",
)  # fmt: skip


@pytest.mark.parametrize(("expression", "result"), RIGHT.items())
def test_what_it_comes_to(expression: str, result: str):
    assert calculate(expression) == result


@pytest.mark.parametrize("expression", WRONG, ids=lambda expression: ascii(expression)[:40])
def test_what_is_no_arithmetic_is_refused_with_a_reason(expression: str):
    with pytest.raises(Wrong) as caught:
        calculate(expression)
    assert str(caught.value).endswith(".")
