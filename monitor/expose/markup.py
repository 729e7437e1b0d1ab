"""HTML whose text is escaped unless it was built here: what a hostile segment name says stays text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """Markup that is finished; any other text is escaped when it becomes part of it."""

    __slots__ = ()


Child = str | int | None
"""Text (escaped), finished markup (kept), a number, or nothing."""

_VOID = frozenset({"meta", "link", "input", "br", "hr", "rect", "line", "path", "circle"})


def el(name: str, /, *children: Child | Iterable[Child], **attributes: str | int | float | None) -> Html:
    """An element. ``class_`` means class; underscores in other attributes become hyphens; None leaves one out.

    >>> el("a", "<b>", href='/?x="1"', class_="q")
    '<a href="/?x=&quot;1&quot;" class="q">&lt;b&gt;</a>'
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for key, value in attributes.items() if value is not None
    )
    content = join(*children)
    return Html(f"<{name}{shown}/>" if name in _VOID else f"<{name}{shown}>{content}</{name}>")


def join(*children: Child | Iterable[Child]) -> Html:
    """Children one after the other.

    >>> join("a&b", None, [el("i", 1), "<"])
    'a&amp;b<i>1</i>&lt;'
    """
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str | int):
            parts.append(html.escape(str(child)))
        elif child is not None:
            parts.append(join(*child))
    return Html("".join(parts))


def table(head: Sequence[Child], rows: Iterable[Iterable[Child]], numeric: Iterable[int] = (), caption: str | None = None) -> Html:
    """A table in a box that scrolls sideways when it is narrow; the columns ``numeric`` are aligned right.

    A head of empty texts is left out.
    """
    right = frozenset(numeric)
    header = el("tr", [el("th", cell, scope="col", class_="num" if i in right else None) for i, cell in enumerate(head)])
    body = [el("tr", [el("td", cell, class_="num" if i in right else None) for i, cell in enumerate(row)]) for row in rows]
    title = el("caption", caption) if caption else None
    return el("div", el("table", title, el("thead", header) if any(head) else None, el("tbody", body)), class_="scroll")
