"""A quantized file's explanation as a picture: one row for each layer, as SVG text or PNG bytes."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgecut.records.escapes import xml_text
from edgecut.records.explanation import Explanation, LayerError
from edgecut.render.explained import FAIR_DB, LOW_DB, SCALE_DB, headline, share_words, verdicts

WIDTH, ROW, TOP = 1000, 22, 64
NAMES, BARS, ADDED, CAUSES = 250, 260, 620, 760
BARS_WIDTH, ADDED_WIDTH = 310, 90
SIZE = 13

Tone = Literal["ink", "soft", "line", "bad", "fair", "good"]
_COLOURS: dict[Tone, tuple[str, str]] = {
    "ink": ("#1c1f23", "#e6e9ed"),
    "soft": ("#5c6570", "#9aa4b0"),
    "line": ("#d9dee4", "#313840"),
    "bad": ("#c4303c", "#ff7480"),
    "fair": ("#c98a12", "#f0c96a"),
    "good": ("#2c8a54", "#57c98a"),
}


@dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    tone: Tone
    title: str = ""


@dataclass(frozen=True)
class Words:
    """A line of text; y is its baseline, x its start or, if `end`, its end."""

    x: float
    y: float
    text: str
    tone: Tone = "ink"
    end: bool = False


def draw(found: Explanation, ending: str) -> bytes:
    """The picture in the format that a file's ending asks for: ".svg" or ".png"."""
    return FORMATS[ending](found)


def height_of(found: Explanation) -> int:
    """The picture's height in pixels."""
    return TOP + ROW * (len(found.layers) + len(_verdict_lines(found)) + 2)


def marks(found: Explanation) -> Iterator[Box | Words]:
    """What the picture consists of."""
    yield Words(16, 26, headline(found))
    for x, text in ((BARS, "SQNR of what varies, dB"), (ADDED, "error added"), (CAUSES, "suspected cause")):
        yield Words(x, 52, text, "soft")
    bottom = TOP + ROW * len(found.layers)
    for level in (0, 10, 20, 30, 40, 50):
        left = BARS + BARS_WIDTH * level / SCALE_DB
        yield Box(left, TOP, 1, bottom - TOP + 4, "line")
        yield Words(left - 6, bottom + 18, str(level), "soft")
    for place, layer in enumerate(found.layers):
        yield from _row(layer, TOP + ROW * place)
    for place, line in enumerate(_verdict_lines(found)):
        yield Words(16, bottom + ROW * (place + 2), line)


def svg(found: Explanation) -> bytes:
    """SVG text that follows the reader's light or dark colours."""
    rules = "".join(f".{tone}{{fill:{light}}}" for tone, (light, _) in _COLOURS.items())
    dark = "".join(f".{tone}{{fill:{colour}}}" for tone, (_, colour) in _COLOURS.items())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height_of(found)}" '
        f'viewBox="0 0 {WIDTH} {height_of(found)}" font-family="system-ui, sans-serif" font-size="{SIZE}">',
        f"<style>svg{{max-width:100%;height:auto}}{rules}@media (prefers-color-scheme: dark){{{dark}}}</style>",
    ]
    for mark in marks(found):
        if isinstance(mark, Box):
            title = f"<title>{xml_text(mark.title)}</title>" if mark.title else ""
            lines.append(
                f'<rect x="{mark.x:g}" y="{mark.y:g}" width="{mark.width:g}" height="{mark.height:g}" '
                f'class="{mark.tone}">{title}</rect>'
            )
        else:
            anchor = ' text-anchor="end"' if mark.end else ""
            text = xml_text(mark.text)
            lines.append(f'<text x="{mark.x:g}" y="{mark.y:g}" class="{mark.tone}"{anchor}>{text}</text>')
    return ("\n".join([*lines, "</svg>"]) + "\n").encode()


def png(found: Explanation) -> bytes:
    """PNG bytes on white."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (WIDTH, height_of(found)), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(SIZE)
    for mark in marks(found):
        colour = _COLOURS[mark.tone][0]
        if isinstance(mark, Box):
            pen.rectangle((mark.x, mark.y, mark.x + mark.width - 1, mark.y + mark.height - 1), fill=colour)
        else:
            pen.text((mark.x, mark.y), mark.text, fill=colour, font=font, anchor="rs" if mark.end else "ls")
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


FORMATS: dict[str, Callable[[Explanation], bytes]] = {".svg": svg, ".png": png}


def _verdict_lines(found: Explanation) -> list[str]:
    return [line for sentence in verdicts(found) for line in textwrap.wrap(sentence, 135)]


def _row(layer: LayerError, y: float) -> Iterator[Box | Words]:
    tone: Tone = "bad" if layer.sqnr_varying < LOW_DB else "fair" if layer.sqnr_varying < FAIR_DB else "good"
    length = BARS_WIDTH * min(max(layer.sqnr_varying, 0.5), SCALE_DB) / SCALE_DB
    yield Words(NAMES, y + 15, _short(layer.name, 34), end=True)
    yield Box(BARS, y + 3, length, ROW - 7, tone, f"{layer.name}: {layer.sqnr_varying:.1f} dB. {layer.reason}")
    yield Words(BARS + length + 5, y + 15, f"{layer.sqnr_varying:.1f}", "soft")
    if layer.added is not None:
        share = ADDED_WIDTH * layer.added
        yield Box(ADDED, y + 3, max(share, 1), ROW - 7, "soft")
        yield Words(ADDED + share + 5, y + 15, share_words(layer.added), "soft")
    if layer.cause:
        yield Words(CAUSES, y + 15, layer.cause)


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
