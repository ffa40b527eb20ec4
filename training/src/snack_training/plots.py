"""Small plots as inline SVG. Colours come from the page's style sheet."""

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 14, 34


def line(
    points: Sequence[tuple[float, float]], marks: Sequence[tuple[float, float]], *, x_label: str, y_label: str
) -> str:
    """Returns a line through `points`, with dots at `marks`."""
    values = [y for _, y in (*points, *marks)]
    low, high = _padded(min(values), max(values))
    right = max(x for x, _ in points)

    def place(x: float, y: float) -> tuple[float, float]:
        share = (x - 1) / max(right - 1, 1)
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + share * width, _TOP + (high - y) / (high - low) * height

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    dots = "".join(f'<circle class="b" cx="{x:.1f}" cy="{y:.1f}" r="5"/>' for x, y in (place(*mark) for mark in marks))
    grid = ""
    for step in range(5):
        value = low + (high - low) * step / 4
        y = place(1, value)[1]
        grid += f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        grid += f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
    for value in sorted({1, round(right / 2), int(right)}):
        grid += f'<text x="{place(value, low)[0]:.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{value}</text>'
    label = f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 1}" text-anchor="end">{escape(x_label)}</text>'
    return _svg(_HEIGHT, f'{grid}{label}<polyline class="a" points="{path}"/>{dots}', f"{y_label} by {x_label}")


def bars(entries: Sequence[tuple[str, int]], total: int) -> str:
    """Returns a horizontal bar for each entry. `total` is the length of a full bar."""
    row, label = 30, 160
    drawn = ""
    for index, (name, value) in enumerate(entries):
        y = index * row
        width = (_WIDTH - label - 70) * value / max(total, 1)
        tone = "good" if index == 0 else "bad"
        drawn += f'<text x="{label - 10}" y="{y + 20}" text-anchor="end">{escape(name)}</text>'
        drawn += f'<rect class="track" x="{label}" y="{y + 6}" width="{_WIDTH - label - 70}" height="18" rx="4"/>'
        drawn += f'<rect class="{tone}" x="{label}" y="{y + 6}" width="{width:.1f}" height="18" rx="4"/>'
        drawn += f'<text x="{_WIDTH - 60}" y="{y + 20}">{value}</text>'
    return _svg(len(entries) * row + 4, drawn, "replies by the first rule that they break")


def histogram(values: Sequence[int], *, limit: int, label: str) -> str:
    """Returns the distribution of numbers, with a line at `limit`."""
    bins = 20
    most = max(*values, limit, 1)
    counts = [0] * bins
    for value in values:
        counts[min(value * bins // (most + 1), bins - 1)] += 1
    width, height = (_WIDTH - _LEFT - _RIGHT) / bins, _HEIGHT - _TOP - _BOTTOM
    drawn = ""
    for index, count in enumerate(counts):
        size = height * count / max(counts)
        x = _LEFT + index * width
        drawn += f'<rect class="a" x="{x + 1:.1f}" y="{_TOP + height - size:.1f}" width="{width - 2:.1f}" height="{size:.1f}"/>'
    x = _LEFT + limit / (most + 1) * (_WIDTH - _LEFT - _RIGHT)
    drawn += f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_TOP + height}"/>'
    drawn += f'<text x="{x - 6:.1f}" y="{_TOP + 12}" text-anchor="end">limit {limit}</text>'
    for value in (0, most // 2, most):
        place = _LEFT + value / (most + 1) * (_WIDTH - _LEFT - _RIGHT)
        drawn += f'<text x="{place:.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{value}</text>'
    drawn += f'<text x="{_LEFT - 8}" y="{_TOP + 10}" text-anchor="end">{max(counts)}</text>'
    drawn += f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 1}" text-anchor="end">{escape(label)}</text>'
    return _svg(_HEIGHT, drawn, f"number of replies by {label}")


def _padded(low: float, high: float) -> tuple[float, float]:
    space = (high - low) * 0.08 or 0.5
    return low - space, high + space


def _svg(height: int, content: str, label: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">{content}</svg>'
