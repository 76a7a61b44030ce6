"""HTML that cannot be broken by what stands in it: text is escaped unless it was made here.

The page is well-formed XML as well, so that any reader of XML can check it.
"""

import re
from collections.abc import Iterable

from jaxplain.plots.wording import escaped

_OWN_CONTENT = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+")
_VOID = {"img", "meta", "source", "wbr"}


class Markup(str):
    """A piece of finished HTML."""

    __slots__ = ()


Content = Markup | str | int


def element(tag: str, /, *children: Content | Iterable[Content], **attributes: str | int | None) -> Markup:
    """Build an element.

    Args:
        tag: The element's name.
        children: Finished ``Markup``, or text that is escaped here, or iterables of both.
        attributes: Values are escaped; a trailing underscore is dropped (``class_``), other underscores become
            hyphens, and an attribute that is None is left out.

    Example:
        >>> element("p", "a < b", class_="note")
        '<p class="note">a &lt; b</p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written} />")
    return Markup(f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: Content | Iterable[Content]) -> Markup:
    """Put pieces of markup and text after each other."""
    parts = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(str(child))
        elif isinstance(child, str | int):
            parts.append(escaped(child, limit=4000))
        else:
            parts.append(str(join(*child)))
    return Markup("".join(parts))


def breakable(text: str) -> Markup:
    """Allow a line break after every underscore, dot, slash and colon of a name."""
    pieces = re.split(r"(?<=[_./:])(?=\w)", text)
    return join(*[join(element("wbr") if index else "", piece) for index, piece in enumerate(pieces)])


def _value(value: str | int) -> str:
    text = str(value)
    # An address that holds its own content is long and plain: it needs neither shortening nor escaping.
    return text if _OWN_CONTENT.fullmatch(text) else escaped(text, limit=4000)
