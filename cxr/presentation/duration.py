"""A time as a person says it."""


def duration(seconds: float) -> str:
    """Seconds, minutes, hours: 8 s, 5 min, 2 h 10 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
