"""Numbers and times as a reader likes them."""

from datetime import UTC, datetime


def count(number: int) -> str:
    """Write `1234567` as `1,234,567`."""
    return f"{number:,}"


def compact(number: int, *, above: int = 10_000) -> str:
    """Write a number in few characters: `23.5 M`; in full below `above`, at least 1000."""
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= max(size, above):
            scaled = number / size
            figures = f"{scaled:,.0f}" if scaled >= 100 else f"{scaled:.1f}".removesuffix(".0")
            return f"{figures}\N{NO-BREAK SPACE}{unit}"
    return f"{number:,}"


def share(part: int, whole: int) -> str:
    """Write a percentage that says 0% only for nothing and 100% only for everything."""
    if whole <= 0 or part <= 0:
        return "0%"
    if part >= whole:
        return "100%"
    percent = 100 * part / whole
    if percent < 0.1:
        return "<0.1%"
    if percent > 99.9:
        return ">99.9%"
    return f"{percent:.1f}%"


def moment(time: datetime) -> str:
    """Write a time in UTC: `1 Nov 2026, 14:03:22 UTC`; one without a zone is taken as UTC."""
    utc = in_utc(time)
    return f"{utc.day} {utc:%b %Y, %H:%M:%S} UTC"


def clock(time: datetime) -> str:
    """Write a time in UTC for tables: `1 Nov 14:03:22`."""
    utc = in_utc(time)
    return f"{utc.day} {utc:%b %H:%M:%S}"


def in_utc(time: datetime) -> datetime:
    """Return a time in UTC; one without a zone is taken as UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def state(name: str) -> str:
    """Write `JOB_STATE_EARLY_STOPPED` as `early stopped`."""
    return name.removeprefix("JOB_STATE_").replace("_", " ").lower()
