"""The figures of report.html: as pictures with dark colours, with captions, links and commands."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from gdconv.config.sections import FORMATS
from gdconv.report.figures.drawing import Plot

# The page's own colours in dark mode, --paper and --ink in page.css. White becomes the first.
PAPER, INK = (0x12, 0x16, 0x1B), (0xE6, 0xEA, 0xEF)
# Turning a hue by 180°, as the filter hue-rotate of CSS does it: the rows give red, green and blue.
TURN = ((-0.574, 1.43, 0.144), (0.426, 0.43, 0.144), (0.426, 1.43, -0.856))


def figures(
    folder: Path, plots: tuple[Plot, ...], drawn: Mapping[str, bytes], omitted: Mapping[str, str]
) -> str:
    """Return the page's figures as HTML, and in one line those that are left out."""
    shown = [_figure(folder, plot, drawn[plot.name]) for plot in plots if plot.name in drawn]
    if omitted:
        many = f"{len(omitted)} figures are" if len(omitted) > 1 else "1 figure is"
        reasons = "\n".join(
            f"<dt>{escape(name)}</dt><dd>{escape(why)}</dd>" for name, why in omitted.items()
        )
        shown.append(
            f'<details id="left-out">\n<summary>{many} left out: why</summary>\n'
            f"<dl>\n{reasons}\n</dl>\n</details>"
        )
    return "\n".join(shown)


def dark(svg: bytes) -> bytes:
    """Return an SVG with rules that give it dark colours where the reader prefers these.

    Light and dark are exchanged and hues are kept, so that colours differ as much as before. Only
    a style element is added; without it the SVG is again what it was.
    """
    text = re.sub(rb"base64,[^\"]*", b"", svg).decode(errors="replace")
    rules = ["svg{fill:" + _hex(INK) + "}"]
    for colour in sorted(set(re.findall(r"#[0-9a-f]{6}\b", text))):
        other = _exchanged(colour)
        for name in ("fill", "stroke", "stop-color"):
            for written, chosen in (
                (f"{name}: {colour}", f'[style*="{name}: {colour}"]'),
                (f'{name}="{colour}"', f'[{name}="{colour}"]'),
            ):
                if written in text:
                    rules.append(f"{chosen}{{{name}:{other}!important}}")
    # A picture made of pixels goes through the same formula.
    matrix = " ".join(
        f"{' '.join(f'{-part * (i - p) / 255:.4f}' for part in row)} 0 {i / 255:.4f}"
        for row, p, i in zip(TURN, PAPER, INK, strict=True)
    )
    pixels = (
        '<filter id="exchanged" color-interpolation-filters="sRGB">'
        f'<feColorMatrix values="{matrix} 0 0 0 1 0"/></filter>'
    )
    has_pixels = "<image" in text
    rules += ["image{filter:url(#exchanged)}"] * has_pixels
    style = f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"
    added = f'<g class="dark">{pixels * has_pixels}<style>{style}</style></g>'
    before, end, after = svg.rpartition(b"</svg>")
    return before + added.encode() + end + after if end else svg


def _exchanged(colour: str) -> str:
    """A colour with light and dark exchanged, between the page's own colours of dark mode."""
    inverted = [1 - int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    turned = (sum(part * c for part, c in zip(row, inverted, strict=True)) for row in TURN)
    return _hex(p + min(1, max(0, c)) * (i - p) for c, p, i in zip(turned, PAPER, INK, strict=True))


def _hex(parts: Iterable[float]) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in parts)


def _figure(folder: Path, plot: Plot, svg: bytes) -> str:
    paths = {suffix: f"figures/{plot.name}.{suffix}" for suffix in FORMATS}
    links = ", ".join(
        f'<a href="{path}">{suffix.upper()}</a>'
        for suffix, path in paths.items()
        if (folder / path).exists()
    )
    image = b64encode(dark(svg)).decode()
    name = escape(plot.name)
    first, _, rest = plot.caption.partition(". ")
    first = f"{first.removesuffix('.')}."
    more = f"<p>{escape(rest)}</p>\n" if rest else ""
    command = f"gdconv-report {shlex.quote(folder.resolve().name)} --format pdf --figures {name}"
    return (
        f'<figure id="figure-{name}">\n<div class="picture">'
        f'<img src="data:image/svg+xml;base64,{image}" alt="{name}: {escape(first)}"></div>\n'
        f"<figcaption><strong>{name}</strong> {escape(first)}\n"
        f'<details>\n<summary>More about {name}</summary>\n{more}<p class="buttons">'
        f'<button type="button" class="computed" value="svg">Save {name}.svg</button> '
        f'<button type="button" class="computed" value="png">Save {name}.png</button></p>\n'
        f'<p class="quiet">{f"Files: {links}. " if links else ""}'
        f"This makes a PDF: <code>{escape(command)}</code></p>\n"
        "</details>\n</figcaption>\n</figure>"
    )
