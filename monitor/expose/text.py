"""Times, counts and sizes as people and programs read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_YEAR_1_MS, _YEAR_9999_MS = -62_135_596_800_000, 253_402_300_799_999


def iso(time_ms: int | None) -> str | None:
    """ISO 8601 in UTC; None for None and for what no calendar holds.

    >>> iso(1_700_000_000_123), iso(-1), iso(None), iso(10**18)
    ('2023-11-14T22:13:20.123Z', '1969-12-31T23:59:59.999Z', None, None)
    """
    if time_ms is None or not _YEAR_1_MS <= time_ms <= _YEAR_9999_MS:
        return None
    seconds, rest = divmod(time_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:03d}Z"


def clock(time_ms: int | None) -> str:
    """A time for people, to the minute: ``2023-11-14 22:13``; a dash for none."""
    text = iso(time_ms)
    return "–" if text is None else f"{text[:10]} {text[11:16]}"


def span(milliseconds: int) -> str:
    """A duration for people, two units at most.

    >>> span(999), span(61_000), span(3_600_000), span(90_061_000)
    ('0 s', '1 min 1 s', '1 h', '1 d 1 h')
    """
    rest, parts = max(milliseconds, 0) // 1000, []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        whole, rest = divmod(rest, size)
        if whole:
            parts.append(f"{whole} {unit}")
        elif parts:
            break  # 1 d 0 h 5 min reads as 1 d
    return " ".join(parts[:2]) or "0 s"


def count(number: int) -> str:
    """A whole number with thin spaces between thousands.

    >>> count(1234567)
    '1\\u202f234\\u202f567'
    """
    return f"{number:,}".replace(",", "\u202f")


def size(number: int) -> str:
    """Bytes in the largest binary unit that leaves at least 1.

    >>> size(0), size(2048), size(5 * 1024**3 // 2)
    ('0 B', '2.0 KiB', '2.5 GiB')
    """
    value, units = float(number), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def number(value: float) -> str:
    """A statistic for people: three significant digits; a dash where undefined.

    >>> number(0.12345), number(12.0), number(float("nan")), number(0.00001), number(123456.0)
    ('0.123', '12.0', '–', '1.00e-05', '123456')
    """
    if not math.isfinite(value):
        return "–"
    if value == 0 or 0.001 <= abs(value) < 1000:
        digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1
        return f"{value:.{digits}f}"
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.2e}"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(0.058), points(-0.0004), points(0.0)
    ('+5.8 pp', '−0.04 pp', '0 pp')
    """
    sign = "−" if difference < 0 else "+" if difference > 0 else ""
    return f"{sign}{percent(abs(difference))}".replace("%", "pp") if math.isfinite(difference) else "–"


def percent(share: float) -> str:
    """A share as a percentage; small ones keep a digit that is not zero.

    >>> percent(0.5), percent(0.0), percent(0.0004), percent(1e-6)
    ('50.0 %', '0 %', '0.04 %', '<0.01 %')
    """
    if not math.isfinite(share):
        return "–"
    if share == 0:
        return "0 %"
    if abs(share) < 0.0001:
        return "<0.01 %"
    return f"{share:.1%}".replace("%", " %") if abs(share) >= 0.001 else f"{share:.2%}".replace("%", " %")
