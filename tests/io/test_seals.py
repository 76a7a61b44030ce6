"""A sealed file is what was written, to the last bit."""

import json

import pytest

from jaxplain.io.seals import sealed, unsealed

CONTENT = {"name": "Grün", "numbers": [1e-05, 2, None], "nested": {"digest": "own"}, "text": "\\u00e9 \n"}


def test_what_was_sealed_comes_back_and_is_plain_json():
    raw = sealed(json.dumps(CONTENT, sort_keys=True, indent=1))
    assert unsealed(raw) == CONTENT
    assert {name: value for name, value in json.loads(raw).items() if name != "digest"} == CONTENT


def test_every_single_flipped_bit_is_found():
    """All of them, also those that change no value: the case of an exponent or of an escape."""
    raw = sealed(json.dumps(CONTENT, sort_keys=True, indent=1) + "\n")
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="digest"):
            unsealed(bytes(flipped))


def test_every_truncation_and_every_appended_byte_is_found():
    raw = sealed(json.dumps(CONTENT, indent=1))
    for damaged in (*(raw[:length] for length in range(len(raw))), raw + b"\n", b"", b"{}"):
        with pytest.raises(ValueError, match="digest"):
            unsealed(damaged)
