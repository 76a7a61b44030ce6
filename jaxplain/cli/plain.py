"""Text that others chose (file names, class names, reasons) as one visible line that no terminal interprets."""

_ESCAPE = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: object) -> str:
    r"""Return the text with control characters, direction marks and undecodable bytes written as escapes.

    Example:
        >>> plain("a\n\x1b[31mred.jpg")
        'a\\n\\x1b[31mred.jpg'
    """
    return "".join(character if character.isprintable() else _escaped(character) for character in str(text))


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _ESCAPE:
        return _ESCAPE[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
