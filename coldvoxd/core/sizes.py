"""Writes numbers of bytes for people. Pure."""

_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size_text(size: float) -> str:
    """The size in decimal units with one decimal, such as `2.5 GB`, and below 1 kB in bytes."""
    for factor, unit in _UNITS:
        if size >= 0.99995 * factor:  # 999.95 MB is shown as 1.0 GB, not as 1000.0 MB
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} bytes"
