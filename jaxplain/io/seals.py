"""JSON files that carry the digest of their own bytes, so that a flipped bit anywhere in them is found on reading.

The digest is the first entry of the object: the SHA-256 of the file with 64 zeros in its place.
"""

import hashlib
import json
import re
from typing import Any

_HEAD = b'{\n "digest": "sha256:'
_ZEROS = b"0" * 64
_SEALED = re.compile(re.escape(_HEAD) + rb'([0-9a-f]{64})",\n')


def sealed(text: str) -> bytes:
    """Return a JSON object as the bytes of a file, with its digest in front.

    Args:
        text: The object with an indent of one space, at least one entry in it.

    Example:
        >>> unsealed(sealed(json.dumps({"shard": 3}, indent=1)))
        {'shard': 3}
    """
    blank = _HEAD + _ZEROS + b'",' + text.encode().removeprefix(b"{")
    digest = hashlib.sha256(blank).hexdigest().encode()
    return _HEAD + digest + blank[len(_HEAD) + len(digest) :]


def unsealed(raw: bytes) -> dict[str, Any]:
    """Return the object in a file, without its digest.

    Raises:
        ValueError: The bytes are not those that were written.
    """
    found = _SEALED.match(raw)
    if found is None:
        raise ValueError("it does not begin with its digest")
    blank = _HEAD + _ZEROS + raw[found.end(1) :]
    if hashlib.sha256(blank).hexdigest().encode() != found.group(1):
        raise ValueError("its digest is that of another content")
    content = dict(json.loads(raw))
    del content["digest"]
    return content
