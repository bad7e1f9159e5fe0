"""Pictures of pages in a real browser, and what axe-core says of them: python -m tools.look OUT [PAGE]...

PAGE is an .html file or a folder of them; without any, the pages that the tests make (tests/pages.py). For each there
are pictures at 1280, 768 and 390 pixels, light and dark, at 200 % zoom, with the focus of the keyboard, and as printed
(a PDF and, where pdftoppm is, a picture of each sheet). Ends with 1 where something is found.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Way:
    """How a page is looked at. width: of the window, in CSS pixels. pixels: of the device in one of them."""

    name: str
    width: int
    scheme: Scheme = "light"
    pixels: float = 1.0


WAYS = (
    Way("1280", 1280),
    Way("768", 768),
    Way("390", 390),
    Way("1280-dark", 1280, "dark"),
    Way("390-dark", 390, "dark"),
    Way("zoom-200", 640, "light", 2.0),
)
CHECKED = tuple(way for way in WAYS if way.name.startswith(("1280", "390")))
"""The ways in which axe-core looks."""
# Elements whose content is wider than they are, and which don't let it be scrolled to; and what can be scrolled to
# sideways at all.
_WIDER = """() => {
  const wide = [];
  const name = e => e.tagName.toLowerCase() + '.' + (e.getAttribute('class') || '');
  if (document.documentElement.scrollWidth > window.innerWidth) wide.push('the page itself');
  for (const e of document.querySelectorAll('main *')) {
    if (e.closest('svg') || e.clientWidth < 2) continue;  // 1 pixel: for readers aloud alone
    const scrolls = getComputedStyle(e).overflowX !== 'visible';
    if (scrolls && e.scrollWidth > e.clientWidth + 1) wide.push(name(e) + ': ' + e.textContent.slice(0, 40).trim());
  }
  return wide;
}"""
_FOCUS = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  const marked = ring || (e.classList.contains('mark') && parseFloat(style.strokeWidth) >= 3);
  return [e.tagName.toLowerCase() + ' ' + (e.getAttribute('aria-label') || e.textContent).trim().slice(0, 60), marked,
          box.bottom > 0 && box.top < window.innerHeight && box.width > 0];
}"""


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium without a window. Raises LookupError where none can be had, and why."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        raise LookupError("no Chromium is here")
    try:
        import axe_playwright_python  # noqa: F401  what `faults` needs, and what brings playwright
        from playwright.sync_api import sync_playwright
    except ImportError as exc:
        raise LookupError(f"{exc.name} isn't installed: pip install axe-playwright-python") from exc
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(browser: Browser, address: str, way: Way) -> Iterator[tuple[Page, list[str]]]:
    """(the page at an address, what it says on the console and asks for from elsewhere)."""
    view = {"width": way.width, "height": 900}
    context = browser.new_context(viewport=view, color_scheme=way.scheme, device_scale_factor=way.pixels)
    page, said = context.new_page(), list[str]()

    def _is_elsewhere(url: str) -> bool:
        return url != address and not url.startswith("data:")

    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: said.append(f"asks for {request.url}") if _is_elsewhere(request.url) else None)
    page.goto(address)
    try:
        yield page, said
    finally:
        context.close()


def faults(page: Page) -> list[str]:
    """What axe-core finds on an open page, a sentence for each rule and the first elements that break it."""
    from axe_playwright_python.sync_playwright import Axe

    # The sizes of what opens: a folded part is looked at, too.
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: " + "; ".join(str(node["html"])[:140] for node in rule["nodes"][:3])
        for rule in found
    ]


def wider(page: Page) -> list[str]:
    """What of an open page has to be scrolled sideways."""
    return page.evaluate(_WIDER)


def stops(page: Page, most: int = 60) -> list[str]:
    """What the tabulator key comes to, in order; what can't be seen to have the focus is said."""
    order: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        at = page.evaluate(_FOCUS)
        if at is None:
            break
        name, marked, seen = at
        order.append(name + ("" if marked else " (NO FOCUS MARK)") + ("" if seen else " (OUT OF SIGHT)"))
    return order


def sheets(page: Page, path: Path) -> None:
    """The page as printed on A4, and a picture of each sheet where pdftoppm is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.pdf(path=path, format="A4", margin=dict.fromkeys(("top", "bottom", "left", "right"), "12mm"))
    if shutil.which("pdftoppm"):
        subprocess.run(["pdftoppm", "-r", "50", "-png", path, path.with_suffix("")], check=True)


def look(browser: Browser, address: str, out: Path) -> list[str]:
    """Writes a page's pictures into a folder; what is wrong with the page, a sentence each."""
    out.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    for way in WAYS:
        with opened(browser, address, way) as (page, said):
            page.screenshot(path=out / f"{way.name}.png", full_page=True)
            wrong += [f"{way.name}: {sentence}" for sentence in said]
            if way.width <= 390:
                wrong += [f"{way.name}: scrolls sideways: {what}" for what in wider(page)]
            if way in CHECKED:
                wrong += [f"{way.name}: {fault}" for fault in faults(page)]
    with opened(browser, address, WAYS[0]) as (page, _):
        sheets(page, out / "print.pdf")
        order = stops(page)
        page.screenshot(path=out / "keyboard.png")
        (out / "keyboard.txt").write_text("\n".join(order) + "\n", encoding="utf-8")
        wrong += [f"keyboard: {stop}" for stop in order if stop.endswith(")") and "FOCUS MARK" in stop]
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Looks at every page, and says what is wrong with each."""
    out, *named = map(Path, arguments)
    paths = [page for path in named for page in (sorted(path.glob("*.html")) if path.is_dir() else [path])]
    if not named:
        from tests.pages import EVERY

        made = out / "pages"
        made.mkdir(parents=True, exist_ok=True)
        for name, render in EVERY.items():
            (made / f"{name}.html").write_text(render(), encoding="utf-8")
        paths = sorted(made.glob("*.html"))
    count = 0
    with browser() as started:
        for path in paths:
            wrong = look(started, path.resolve().as_uri(), out / path.stem)
            count += len(wrong)
            sys.stdout.write("".join(f"{line}\n" for line in (f"{path.stem}: {len(wrong)} found", *wrong)))
            sys.stdout.flush()
    return 1 if count else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
