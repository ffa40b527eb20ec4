"""Small plots as inline SVG. The page's style sheet sets the colours."""

from collections.abc import Sequence

from markupsafe import Markup, escape

_FULL, _HALF, _HEIGHT = 960, 460, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 26, 30
_BAR_HEIGHT, _BAR_LEFT, _BAR_RIGHT = 30, 150, 50


def line(points: Sequence[tuple[float, float]], marks: Sequence[tuple[float, float]], *, label: str) -> Markup:
    """Returns a line through `points`, with dots at `marks`. The first point has x = 1."""
    values = [y for _, y in (*points, *marks)]
    low, high = _padded(min(values), max(values))
    last = max(x for x, _ in points)

    def place(x: float, y: float) -> tuple[float, float]:
        share = (x - 1) / max(last - 1, 1)
        return _LEFT + share * _inner(_FULL), _TOP + (high - y) / (high - low) * _inner_height()

    drawn = []
    for step in range(5):
        value = low + (high - low) * step / 4
        y = place(1, value)[1]
        drawn.append(f'<line class="grid" x1="{_LEFT}" x2="{_FULL - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(_text(_LEFT - 8, y + 4, "end", f"{value:.2f}"))
    for number in sorted({1, round(last / 2), int(last)}):
        drawn.append(_text(place(number, low)[0], _HEIGHT - 8, "middle", str(number)))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    drawn.append(f'<polyline class="a" points="{path}"/>')
    for x, y in (place(*mark) for mark in marks):
        drawn.append(f'<circle class="b" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    return _svg(_FULL, _HEIGHT, drawn, label)


def bars(entries: Sequence[tuple[str, int]], total: int) -> Markup:
    """
    Returns a horizontal bar for each entry. `total` is the value of a full bar. The first entry has the colour of a
    good result.
    """
    full = _HALF - _BAR_LEFT - _BAR_RIGHT
    drawn = []
    for index, (name, value) in enumerate(entries):
        top = index * _BAR_HEIGHT
        drawn.append(_text(_BAR_LEFT - 10, top + 20, "end", name))
        for kind, width in (("track", full), ("bad" if index else "good", full * value / max(total, 1))):
            size = f'width="{width:.1f}" height="18" rx="4"'
            drawn.append(f'<rect class="{kind}" x="{_BAR_LEFT}" y="{top + 6}" {size}/>')
        drawn.append(_text(_HALF - 40, top + 20, "start", str(value)))
    return _svg(_HALF, len(entries) * _BAR_HEIGHT + 4, drawn, "replies by the first rule that they break")


def histogram(values: Sequence[int], *, limit: int) -> Markup:
    """Returns the distribution of numbers, with a dashed line at `limit`."""
    bins = 20
    most = max([*values, limit])
    counts = [0] * bins
    for value in values:
        counts[value * bins // (most + 1)] += 1
    width = _inner(_HALF) / bins
    drawn = []
    for index, count in enumerate(counts):
        height = _inner_height() * count / max(*counts, 1)
        place = f'x="{_LEFT + index * width + 1:.1f}" y="{_TOP + _inner_height() - height:.1f}"'
        drawn.append(f'<rect class="a" {place} width="{width - 2:.1f}" height="{height:.1f}"/>')

    def place_of(value: int) -> float:
        return _LEFT + value / (most + 1) * _inner(_HALF)

    x, bottom = place_of(limit), _TOP + _inner_height()
    drawn.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>')
    drawn.append(_text(min(x, _HALF - 40), _TOP - 10, "middle", f"limit {limit}"))
    for value in (0, most // 2, most):
        drawn.append(_text(place_of(value), _HEIGHT - 8, "middle", str(value)))
    drawn.append(_text(_LEFT - 8, _TOP + 10, "end", str(max(counts))))
    return _svg(_HALF, _HEIGHT, drawn, "number of replies by length")


def _inner(width: int) -> int:
    return width - _LEFT - _RIGHT


def _inner_height() -> int:
    return _HEIGHT - _TOP - _BOTTOM


def _padded(low: float, high: float) -> tuple[float, float]:
    space = (high - low) * 0.08 or 0.5
    return low - space, high + space


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, height: int, drawn: Sequence[str], label: str) -> Markup:
    svg = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{"".join(drawn)}</svg>'
    return Markup(svg)  # noqa: S704
