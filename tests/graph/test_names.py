"""From named scopes to paths."""

import pytest

from jaxplain.graph.names import naming, place, root_length

ROOT = "jaxplain:root"


@pytest.mark.parametrize(
    ("scopes", "path"),
    [
        ((), ()),
        (("Net", "b1", "Conv_0"), ("Net", "b1", "Conv_0")),
        (("Net", "Net.head", "head"), ("Net", "head")),
        (("Net", "encoder.encode", "Dense_0"), ("Net", "encoder", "Dense_0")),
        (("Net", "ij,jk->ik"), ("Net",)),
        (("target", "Net", ROOT, "b1", "jaxplain:#3", "Conv_0", "jaxplain:#4"), ("b1", "Conv_0")),
        ((ROOT, "jaxplain:blocks.0#1", "jaxplain:blocks.0.conv#2"), ("blocks", "0", "conv")),
        ((ROOT, "jaxplain:shared#1", "mine"), ("shared", "mine")),
        (("block", "block"), ("block", "block")),
        (("RNN_0", "GRUCell_0.scan_fn", "GRUCell_0", "ir"), ("RNN_0", "GRUCell_0", "ir")),
    ],
)
def test_path(scopes, path):
    assert place(scopes).path == path


def test_calls_tell_two_runs_of_a_module_apart():
    first, second = (place((ROOT, "mix", f"jaxplain:#{number}")) for number in (1, 2))
    assert first.path == second.path and first != second


def test_a_modules_own_method_belongs_to_its_call():
    assert place((ROOT, "b", "jaxplain:#1", "b.norm", "jaxplain:#2")) == place((ROOT, "b", "jaxplain:#1"))
    assert place((ROOT, "jaxplain:b#1", "jaxplain:b#2")) == place((ROOT, "jaxplain:b#1"))


@pytest.mark.parametrize(
    ("scopes", "length"),
    [
        ([("Net", "a"), ("Net",), ()], 1),
        ([("Net", "a"), ("Other", "b")], 0),
        ([("Dense",)], 0),
        ([(ROOT, "block", "a"), (ROOT, "block", "b")], 0),
        ([], 0),
    ],
)
def test_root(scopes, length):
    assert root_length(map(place, scopes)) == length


def test_remat_is_undone_where_the_name_is_free():
    paths = [("CheckpointBlock_0", "Conv_0"), ("CheckpointBlock_1",), ("Block_1",), ("Checkpointing",)]
    name = naming(place((ROOT, *path)) for path in paths)
    assert list(map(name, paths)) == ["Block_0/Conv_0", "CheckpointBlock_1", "Block_1", "Checkpointing"]
