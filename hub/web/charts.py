"""Small charts as inline SVG, drawn here: no script, no style, only attributes that a strict policy lets through."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH = 240
HEIGHT = 48
_EDGE = 3


def spark(
    curve: Sequence[Sequence[float]] | None, since: float, until: float, title: str, *, gap: float, steps: bool = False
) -> Markup:
    """The values of a span ([[seconds, value] …], oldest first) as a line from left to right; nothing is drawn over a pause longer than `gap`.

    With `steps` a value holds until the next one. The span's ends are the chart's: a curve that stops halfway shows that nothing came since.
    """
    drawn = [(at, value) for at, value in curve or () if since <= at <= until]
    low, high = _bounds([value for _, value in drawn])

    def x(at: float) -> float:
        return round(_EDGE + (at - since) / max(until - since, 1e-9) * (WIDTH - 2 * _EDGE), 1)

    def y(value: float) -> float:
        return round(HEIGHT - _EDGE - (value - low) / (high - low) * (HEIGHT - 2 * _EDGE), 1)

    parts: list[list[str]] = []
    before: float | None = None
    for at, value in drawn:
        if before is None or at - before > gap:
            parts.append([])
        elif steps:
            parts[-1].append(f"{x(at)},{parts[-1][-1].split(',')[1]}")
        parts[-1].append(f"{x(at)},{y(value)}")
        before = at
    lines = Markup("").join(
        Markup('<polyline points="{}"/>').format(" ".join(points))
        if len(points) > 1
        else Markup('<circle cx="{}" cy="{}" r="2"/>').format(*points[0].split(","))
        for points in parts
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img"><title>{title}</title>{lines}</svg>'
    ).format(w=WIDTH, h=HEIGHT, title=title, lines=lines)


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    return (low - 0.5, high + 0.5) if high - low < 1e-9 * max(abs(high), 1.0) else (low, high)
