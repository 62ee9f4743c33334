"""Plain line charts side by side, as an SVG."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 300, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 28, 32, 32
_STYLE = "font: 11px sans-serif; fill: #333"


@dataclass(frozen=True, slots=True)
class Panel:
    """Values over sizes; both axes begin at 0."""

    title: str
    names: Sequence[str]
    sizes: Sequence[float]
    values: Sequence[float]


def draw(panels: Sequence[Panel]) -> str:
    """The panels in one row."""
    width = _WIDTH * len(panels)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" style="{_STYLE}">']
    lines.append(f'<rect width="{width}" height="{_HEIGHT}" fill="#fff"/>')
    for number, panel in enumerate(panels):
        lines += [f'<g transform="translate({number * _WIDTH} 0)">', *_panel(panel), "</g>"]
    return "\n".join([*lines, "</svg>", ""])


def _panel(panel: Panel) -> Iterator[str]:
    step = _step(max(panel.values))
    highest = step * math.ceil(max(panel.values) / step)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(size: float) -> float:
        return _LEFT + (right - _LEFT) * size / max(panel.sizes)

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * value / highest

    yield f'<text x="{_LEFT}" y="18" font-weight="bold">{panel.title}</text>'
    for count in range(round(highest / step) + 1):
        level = y(count * step)
        yield f'<path d="M{_LEFT} {level:.1f}H{right}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{count * step:g}</text>'
    points = [(x(size), y(value)) for size, value in zip(panel.sizes, panel.values, strict=True)]
    path = " ".join(f"{left:.1f},{top:.1f}" for left, top in points)
    yield f'<polyline points="{path}" fill="none" stroke="#1f6feb" stroke-width="2"/>'
    labelled = -math.inf
    for name, (left, top) in zip(panel.names, points, strict=True):
        yield f'<circle cx="{left:.1f}" cy="{top:.1f}" r="3" fill="#1f6feb"/>'
        if left - labelled > len(name) * 7:  # those that have room
            yield f'<text x="{left:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{name}</text>'
            labelled = left


def _step(highest: float) -> float:
    """1, 2 or 5 times a power of ten, for at most five lines."""
    power: float = 10 ** math.floor(math.log10(highest / 5))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= highest)
