"""Frozen dataclasses as pytrees: fields are leaves, static ones are structure."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._pytree import pytree, static
from jaxplain.core.baselines import Constant, Noise
from jaxplain.methods.lrp.epsilon import Epsilon, Norm
from jaxplain.methods.lrp.signed import AlphaBeta, Gamma


@pytree
class Scaled:
    factor: jax.Array
    shift: object = 0.0
    name: str = static(default="x")
    sizes: tuple[int, ...] = static(default=(1, 2))


def test_fields_are_leaves_and_static_ones_structure():
    one = Scaled(jnp.ones(3), {"a": 1.0, "b": None})
    leaves, structure = jax.tree.flatten(one)
    assert len(leaves) == 2
    again = jax.tree.unflatten(structure, leaves)
    assert isinstance(again, Scaled) and (again.name, again.sizes) == ("x", (1, 2))
    doubled = jax.tree.map(lambda leaf: 2 * leaf, one)
    np.testing.assert_array_equal(doubled.factor, np.full(3, 2.0))
    assert doubled.shift == {"a": 2.0, "b": None} and doubled.name == "x"


def test_paths_are_the_fields_names():
    ((path, _), _) = jax.tree_util.tree_leaves_with_path(Scaled(jnp.ones(3)))
    assert jax.tree_util.keystr(path) == ".factor"


def test_static_fields_compare_by_value_and_decide_the_program():
    traces = []

    @jax.jit
    def apply(scaled, x):
        traces.append(scaled.name)
        return scaled.factor * x + scaled.shift

    for scaled in (Scaled(jnp.ones(3)), Scaled(jnp.zeros(3), 2.0), Scaled(jnp.ones(3), name="".join(["x"]))):
        apply(scaled, jnp.ones(3))
    assert traces == ["x"]
    apply(Scaled(jnp.ones(3), name="y"), jnp.ones(3))
    assert traces == ["x", "y"]


def test_frozen_and_replaced_never_compared_entry_by_entry():
    one = Scaled(jnp.ones(3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.factor = 2
    assert dataclasses.replace(one, name="z").name == "z"
    assert one == one and one != Scaled(jnp.ones(3))  # by identity: arrays have no truth value
    assert {one: 1}[one] == 1


def test_gradients_and_vmap_go_through():
    gradient = jax.grad(lambda scaled: jnp.sum(scaled.factor**2))(Scaled(jnp.arange(3.0)))
    np.testing.assert_array_equal(gradient.factor, 2 * np.arange(3.0))
    batch = jax.vmap(lambda scaled: scaled.factor + 1, in_axes=(Scaled(0, None),))(Scaled(jnp.zeros((4, 2))))
    assert batch.shape == (4, 2)


def test_the_class_decides_the_structure():
    @pytree
    class Other:
        factor: jax.Array
        shift: object = 0.0
        name: str = static(default="x")
        sizes: tuple[int, ...] = static(default=(1, 2))

    assert jax.tree.structure(Scaled(1.0)) != jax.tree.structure(Other(1.0))
    assert jax.tree.structure(Scaled(1.0)) == jax.tree.structure(Scaled(2.0))


def test_what_has_as_many_numbers_makes_programs_of_its_own():
    alike = [Constant(0.2), Noise(0.2), Epsilon(), Norm(), Gamma(), AlphaBeta()]
    structures = [jax.tree.structure(one) for one in alike]
    for number, structure in enumerate(structures):
        assert [other for other, found in enumerate(structures) if found == structure] == [number]
