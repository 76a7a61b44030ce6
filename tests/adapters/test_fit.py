"""Checkpoints that fit, and messages for those that do not."""

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as orbax
import pytest
from flax import linen as nn
from flax import nnx
from safetensors.numpy import save_file

from jaxplain import InputError, from_nnx
from jaxplain.adapters.fit import check_tree, load_checkpoint

MODULE = nn.Sequential([nn.Dense(3), nn.Dense(2)])
VARIABLES = MODULE.init(jax.random.key(0), jnp.ones((1, 4)))
TEMPLATE = jax.eval_shape(lambda: VARIABLES)


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def flat(tree, separator):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator=separator): np.asarray(leaf) for path, leaf in leaves}


@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("bare", [False, True])
def test_safetensors(tmp_path, separator, bare):
    save_file(flat(VARIABLES["params"] if bare else VARIABLES, separator), tmp_path / "net.safetensors")
    same(load_checkpoint(tmp_path / "net.safetensors", TEMPLATE), VARIABLES)


def test_safetensors_keep_bfloat16(tmp_path):
    tree = {"w": jnp.arange(4, dtype=jnp.bfloat16)}
    save_file(flat(tree, "."), tmp_path / "net.safetensors")
    same(load_checkpoint(str(tmp_path / "net.safetensors"), tree), tree)


def test_orbax(tmp_path):
    with orbax.StandardCheckpointer() as writer:
        writer.save(tmp_path / "standard", VARIABLES)
    same(load_checkpoint(tmp_path / "standard", TEMPLATE), VARIABLES)


def test_orbax_manager_takes_the_latest_step(tmp_path):
    with orbax.CheckpointManager(tmp_path / "steps") as manager:
        for step in (2, 10):
            manager.save(step, args=orbax.args.StandardSave(jax.tree.map(lambda leaf, k=step: leaf * k, VARIABLES)))
        manager.wait_until_finished()
    same(load_checkpoint(tmp_path / "steps", TEMPLATE), jax.tree.map(lambda leaf: leaf * 10, VARIABLES))


def test_orbax_of_an_nnx_state(tmp_path):
    module = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    with orbax.StandardCheckpointer() as writer:
        writer.save(tmp_path / "nnx", nnx.state(module))
    params = from_nnx(module).params
    same(load_checkpoint(tmp_path / "nnx", params), params)


def test_each_difference_is_named():
    loaded = {
        "params": {
            "layers_0": {"kernel": jnp.ones((4, 5)), "bias": jnp.ones(3, jnp.bfloat16), "scale": jnp.ones(1)},
            "layers_1": {"kernel": jnp.ones((3, 2))},
        }
    }
    with pytest.raises(InputError) as caught:
        check_tree(TEMPLATE, loaded, where="net.ckpt")
    message = str(caught.value)
    assert message.startswith("net.ckpt:")
    assert "params/layers_1/bias: missing, expected float32[2]" in message
    assert "params/layers_0/scale: unexpected" in message
    assert "params/layers_0/kernel: expected float32[4, 3], found float32[4, 5]" in message
    assert "params/layers_0/bias: expected float32[3], found bfloat16[3]" in message
    check_tree(TEMPLATE, VARIABLES)


def test_a_checkpoint_of_another_network(tmp_path):
    save_file({"a.b": np.ones(2, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"and 1 more|missing"):
        load_checkpoint(tmp_path / "other.safetensors", TEMPLATE)


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_checkpoint(tmp_path / "none", TEMPLATE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="orbax"):
        load_checkpoint(tmp_path / "empty", TEMPLATE)
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(InputError, match="copy it again"):
        load_checkpoint(tmp_path / "cut.safetensors", TEMPLATE)
    (tmp_path / "net.pkl").write_bytes(b"")
    with pytest.raises(InputError, match="neither"):
        load_checkpoint(tmp_path / "net.pkl", TEMPLATE)
