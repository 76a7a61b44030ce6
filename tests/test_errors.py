"""Errors that the caller can mend: their types, and the nearest words."""

import pytest

from jaxplain._errors import InputError, InputTypeError, did_you_mean, unknown


def test_types():
    assert issubclass(InputError, ValueError)
    assert issubclass(InputTypeError, InputError) and issubclass(InputTypeError, TypeError)


@pytest.mark.parametrize(
    ("word", "options", "want"),
    [
        ("smothgrad", ["gradient", "smoothgrad"], "did you mean 'smoothgrad'?"),
        ("layer1", ["layer2", "layer3", "other"], "did you mean 'layer2' or 'layer3'?"),
        ("abs", ["signed", "absolute"], "did you mean 'absolute'?"),
        ("xyz", ["b", "a"], "known: a, b."),
        ("xyz", [], "known: none."),
        ("", {"a": 1}, "known: a."),
    ],
)
def test_did_you_mean(word, options, want):
    got = did_you_mean(word, options)
    assert sorted(got.split("'")) == sorted(want.split("'"))


def test_options_may_be_an_iterator():
    assert str(unknown("maps.pool", "pooling", "men", iter(("mean", "sum")))) == (
        "maps.pool: unknown pooling 'men'; did you mean 'mean'?"
    )
    assert type(unknown("w", "k", "x", ())) is InputError
