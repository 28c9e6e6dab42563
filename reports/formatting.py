"""Numbers as text, the same everywhere: three digits, and a suitable unit."""

import math
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

MISSING = "\N{EN DASH}"
"""Text in place of a missing number."""

_DIGITS = 3
_MOST_DIGITS = 8
_SMALLEST = 0.001
_THOUSAND = 1000.0
_MINUTE_S = 60.0
_LONG_S = 120.0
_TENTH, _TWO, _TWENTY = 0.1, 2.0, 20.0
_HALF_A_HUNDREDTH, _HALF_A_TENTH = 0.005, 0.05

Bounds = tuple[float, float]


def number(value: float | None, digits: int = _DIGITS) -> str:
    """Three significant digits, or as many: `1.31`, `50.1`, `1,230`."""
    if value is None or not math.isfinite(value):
        return MISSING
    rounded = _rounded(value, digits)
    if rounded == 0:
        return "0"
    if abs(rounded) < _SMALLEST:
        return f"<{_SMALLEST}" if rounded > 0 else f">-{_SMALLEST}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def count(value: int | None) -> str:
    """A number of things, exactly: `12,345`."""
    return MISSING if value is None else f"{value:,}"


def level(value: float) -> str:
    """A concurrency or a rate: exact if it is whole, otherwise three digits."""
    return f"{value:,.0f}" if value == round(value) else number(value)


def printed(value: float) -> str:
    """A number as the documentation prints it, without added digits."""
    return f"{value:g}"


def factor(value: float) -> str:
    """How many times, as people say it: `0.75`, `1.12`, `8.7`, `13.6`, `89`."""
    if value < _TENTH - _HALF_A_HUNDREDTH:
        return number(value)
    if value < _TWO - _HALF_A_HUNDREDTH:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < _TWENTY - _HALF_A_TENTH else f"{value:,.0f}"


def factors(bounds: Bounds) -> str:
    """Two of them: `1.05 to 1.19`, `8.1 to 9.3`; one beside 1 is not rounded to it."""
    near = [bound for bound in bounds if bound != 1 and factor(bound) == factor(1.0)]
    excludes = not bounds[0] <= 1 <= bounds[1]
    texts = (f"{one:.3f}" if excludes and one in near else factor(one) for one in bounds)
    return " to ".join(texts)


def many(number_of: int, what: str) -> str:
    """A number of things, with their plural: `1 round`, `12 rounds`."""
    return f"{number_of:,} {what}{'' if number_of == 1 else 's'}"


def milliseconds(value: float | None) -> str:
    """Milliseconds below a second, seconds from there on: `12.3 ms`, `1.20 s`."""
    if value is None or not math.isfinite(value):
        return MISSING
    # Rounded first: 999.6 ms is 1.00 s, not 1,000 ms.
    if abs(_rounded(value)) < _THOUSAND:
        return f"{number(value)} ms"
    return f"{number(value / _THOUSAND)} s"


def seconds(value: float | None) -> str:
    """Seconds in a suitable unit: `513 ms`, `50.1 s`."""
    return MISSING if value is None else milliseconds(value * _THOUSAND)


def microseconds(value: float | None) -> str:
    """Microseconds of something small: `21.3 µs`."""
    return MISSING if value is None or not math.isfinite(value) else f"{number(value)} µs"


def ms_in_us(value: float | None) -> str:
    """Milliseconds of something small: `21.3 µs`."""
    return microseconds(None if value is None else 1e3 * value)


def long_time(value: float | None) -> str:
    """Seconds of a duration of minutes: `39.5 s`, `5 min 12 s`."""
    if value is None or not math.isfinite(value) or value < _LONG_S:
        return seconds(value)
    minutes, rest = divmod(round(value), int(_MINUTE_S))
    return f"{minutes:,} min {rest} s"


def roughly(value: float) -> str:
    """Seconds of a duration that nobody needs to know exactly: `about 41 s`, `about 6 min`."""
    if value < _LONG_S:
        return f"about {math.ceil(value)} s"
    return f"about {math.ceil(value / _MINUTE_S):,} min"


def mebibytes(value: float | None) -> str:
    """Memory: `80.1 MiB`."""
    return MISSING if value is None else f"{number(value)} MiB"


def kibibytes(value: float | None) -> str:
    """A little memory: `40.2 KiB`."""
    return MISSING if value is None else f"{number(value)} KiB"


def moment(iso: str | None) -> str:
    """A time in ISO 8601: `2026-11-23 06:26:44 UTC`."""
    return MISSING if iso is None else iso.replace("T", " ").replace("+00:00", " UTC")


def share(value: float | None) -> str:
    """A fraction in whole per cent; a small one is not shown as zero."""
    if value is None or not math.isfinite(value):
        return MISSING
    return "<1%" if 0 < value < 0.005 else f"{value:.0%}"  # noqa: PLR2004 - rounds to 0%


def reach(value: float | None) -> str:
    """A share that should be 100%: truncated to three digits, never rounded up."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{math.floor(value * 1e5 + 1e-6) / 1e3:g}%"


def share_of(part: int, whole: int) -> str:
    """A count and its share: `3 (1%)`; zero is just `0`."""
    return f"{count(part)} ({share(part / whole)})" if part and whole else count(part)


def interval(bounds: Bounds | None, text: Callable[[float], str] = number) -> str:
    """Both bounds: `1.20 to 1.41`, `510 to 518 ms`, `980 ms to 1.02 s`; empty without any."""
    if bounds is None:
        return ""
    low, high = (text(bound) for bound in bounds)
    low_number, _, low_unit = low.partition(" ")
    _, _, high_unit = high.partition(" ")
    return f"{low_number} to {high}" if low_unit == high_unit else f"{low} to {high}"


def ratio_interval(bounds: Bounds | None) -> str:
    """Both bounds of a ratio, with another digit where 1.00 would hide on which side of 1 it is."""
    return interval(bounds, _bound_of_ratio)


def _bound_of_ratio(bound: float) -> str:
    digits = _DIGITS
    # A difference in the last of many digits is none that anybody measures.
    while bound != 1 and digits < _MOST_DIGITS and _rounded(bound, digits) == 1:
        digits += 1
    return number(bound, digits)


def same_as_printed(measured: float, documented: float) -> bool:
    """Whether both are the same in the one digit with which the documentation prints its times."""
    return f"{measured:.0e}" == f"{documented:.0e}"


def listed(parts: Iterable[str]) -> str:
    """A list in a sentence: `a, b and c`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


FORMS: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        form.__name__: form
        for form in (
            *(count, level, number, share, reach, seconds, long_time, milliseconds),
            *(microseconds, ms_in_us, mebibytes, kibibytes),
        )
    }
)
"""By the name used in a metric's row, or in the texts of a load."""


def one_or_many(value: Any, form: str) -> str:  # noqa: ANN401 - a number, or nothing
    """A form such as `# user|# users`, with the number in place of #."""
    one, many = form.split("|")
    return (one if value == 1 else many).replace("#", f"{value:,}")


class _Filling(string.Formatter):
    """Fields are attributes of one value; the part after the colon is a form."""

    def get_value(self, key: int | str, args: Sequence[Any], _: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of any field
        return getattr(args[0], str(key))

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401 - any attribute
        return one_or_many(value, format_spec) if "|" in format_spec else FORMS[format_spec](value)


def filled(template: str, of: object) -> str:
    """A template such as `{users:count} users`, filled in with the fields of a value."""
    return _Filling().format(template, of)


def _rounded(value: float, digits: int = _DIGITS) -> float:
    return float(f"{value:.{digits}g}")
