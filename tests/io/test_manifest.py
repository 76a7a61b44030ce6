"""The manifest is made once, read strictly and compared readably."""

from pathlib import Path

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io.manifest import KEY, create_manifest, differences, read_manifest, replace_manifest
from jaxplain.io.seals import sealed


def test_the_first_writer_wins(storage):
    assert create_manifest(storage, {"job": {"seed": np.int64(1)}, "path": Path("a"), "shape": (2, 3)})
    assert not create_manifest(storage, {"job": {"seed": 2}})
    assert read_manifest(storage) == {"job": {"seed": 1}, "path": "a", "shape": [2, 3], "schema": 1}


def test_a_manifest_can_be_replaced(storage):
    create_manifest(storage, {"a": 1})
    replace_manifest(storage, {**read_manifest(storage), "a": 2})
    assert read_manifest(storage) == {"a": 2, "schema": 1}


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (None, "not found"),
        (b'{"schema": 1', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"schema": 2}', "version 2"),
        (b"[1]", "version None"),
        (b'{"schema": 1}', "damaged .it does not begin with its digest"),
        (sealed('{\n "schema": 1,\n "images": 10\n}').replace(b"10", b"11"), "damaged .its digest"),
    ],
)
def test_what_is_no_manifest_is_named(local, raw, match):
    if raw is not None:
        local.write(KEY, raw)
    with pytest.raises(InputError, match=rf"jaxplain\.json: .*{match}"):
        read_manifest(local)


def test_values_that_json_cannot_hold_are_refused(local):
    for value in (float("nan"), object()):
        with pytest.raises(InputError, match="cannot be written"):
            create_manifest(local, {"a": value})
    assert local.list() == []


def test_differences_are_readable_and_complete():
    old = {"methods": {"sg": {"n_samples": 16, "sigma": 0.1}}, "plan": {"batch": 8}, "mean": [1, 2]}
    new = {"methods": {"sg": {"n_samples": 32, "sigma": 0.1}, "ig": {}}, "plan": {"batch": 4}, "mean": (1, 2)}
    assert differences(old, new, ignore=("plan",)) == [
        "methods.ig: nothing in the store, {} in the job",
        "methods.sg.n_samples: 16 in the store, 32 in the job",
    ]
    assert differences(old, old) == []
    assert differences({"planet": 1}, {"planet": 2}, ignore=("plan",)) == ["planet: 1 in the store, 2 in the job"]
