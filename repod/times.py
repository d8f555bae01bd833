"""Times as people and machines both read them."""

from datetime import UTC, datetime


def stamp(time: float) -> str:
    """Seconds since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> int:
    """What ``stamp`` was made of; ``ValueError`` where it is no time."""
    return int(datetime.fromisoformat(text).timestamp())


def stamp_ms(time: float) -> str:
    """As ``stamp``, to the millisecond."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
