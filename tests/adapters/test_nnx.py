"""NNX modules: names and gradients of layers, equality, the untouched module, and what is refused."""

import threading
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxplain import InputError, Logit, Score, from_nnx
from jaxplain.graph.layers import layers
from jaxplain.graph.tap import tap, zero_deltas

X = jax.random.normal(jax.random.key(1), (6, 6, 2))


class Block(nnx.Module):
    def __init__(self, n_in, n_out, act, rngs):
        self.conv = nnx.Conv(n_in, n_out, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(n_out, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.act = act

    def __call__(self, x):
        return self.drop(self.act(self.norm(self.conv(x))))


class Net(nnx.Module):
    def __init__(self, rngs, act=nnx.relu):
        self.blocks = nnx.List([Block(2, 3, act, rngs), Block(3, 3, act, rngs)])
        self.mix = nnx.Linear(3, 3, rngs=rngs)
        self.head = nnx.Linear(3, 4, rngs=rngs)

    def features(self, x):
        for block in self.blocks:
            x = block(x)
        return x

    def classify(self, x):
        return self.head(x.mean((1, 2)))

    def __call__(self, x):
        return self.classify(self.mix(self.mix(self.features(x))))


def gradient_at(score, names, x=X):
    value, pull, activations = jax.vjp(lambda d: tap(score, names)(x, d), zero_deltas(score, x, names), has_aux=True)
    return pull(jnp.ones_like(value))[0], activations


def test_layers_have_attribute_paths():
    found = {layer.path: layer.shape for layer in layers(from_nnx(Net(nnx.Rngs(0))), X)}
    assert list(found) == [
        "blocks/0/conv", "blocks/0/norm", "blocks/0/relu", "blocks/0",
        "blocks/1/conv", "blocks/1/norm", "blocks/1/relu", "blocks/1",
        "mix", "mix@2", "head",
    ]  # fmt: skip
    assert found["blocks/1"] == (6, 6, 3) and found["head"] == (4,)


def test_gradient_at_a_layer_equals_two_parts():
    net = Net(nnx.Rngs(0))
    still = nnx.view(net, deterministic=True, use_running_average=True)
    middle = still.features(X[None])
    rest = lambda h: still.classify(still.mix(still.mix(h)))[0, 1]  # noqa: E731
    gradient, activation = gradient_at(Score(from_nnx(net), Logit(1)), "blocks/1")
    np.testing.assert_allclose(activation, middle[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, jax.grad(rest)(middle)[0], rtol=1e-4, atol=1e-6)


def test_shared_module_called_twice():
    net = Net(nnx.Rngs(0))
    (at_one, at_two), (one, two) = gradient_at(Score(from_nnx(net), Logit(0)), ("mix", "mix@2"))
    np.testing.assert_allclose(two, net.mix(one), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(at_one, at_two @ net.mix.kernel[...].T, rtol=1e-4, atol=1e-6)


def test_under_jit_and_vmap():
    model = from_nnx(Net(nnx.Rngs(0)))
    batch = jnp.stack([X, -X])
    run = jax.jit(
        lambda model, batch: jax.vmap(lambda x: gradient_at(Score(model, Logit(0)), "blocks/0/conv", x))(batch)
    )
    gradients, activations = run(model, batch)
    for number, x in enumerate(batch):
        gradient, activation = gradient_at(Score(model, Logit(0)), "blocks/0/conv", x)
        np.testing.assert_allclose(gradients[number], gradient, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(activations[number], activation, rtol=1e-4, atol=1e-6)


def test_the_module_is_not_touched():
    net = Net(nnx.Rngs(0))
    before = nnx.graphdef(net)
    from_nnx(net)(X[None])
    assert nnx.graphdef(net) == before
    assert type(net.blocks[0]) is Block and net.blocks[0].norm.use_running_average is False
    assert not [name for name in vars(net.blocks[0]) if "jaxplain" in name]


def test_wrapping_twice_compiles_once():
    count = 0

    @jax.jit
    def run(model, x):
        nonlocal count
        count += 1
        return model(x)

    outputs = [run(from_nnx(Net(nnx.Rngs(k), partial(nnx.leaky_relu, negative_slope=0.1))), X[None]) for k in range(3)]
    assert count == 1
    assert not np.allclose(outputs[0], outputs[1])
    assert from_nnx(Net(nnx.Rngs(0))).apply != from_nnx(Net(nnx.Rngs(0), nnx.tanh)).apply


def test_a_lambda_warns_and_is_named():
    with pytest.warns(UserWarning, match="attribute 'act'") as caught:
        from_nnx(Net(nnx.Rngs(0), lambda x: x))
    assert len(caught) == 1 and caught[0].filename == __file__


def test_parameters_are_traced_and_differentiable():
    score = Score(from_nnx(Net(nnx.Rngs(0))), Logit(0))
    jaxpr = jax.make_jaxpr(lambda score, x: gradient_at(score, "mix", x))(score, X)
    assert sum(np.size(const) for const in jaxpr.consts) < 16
    gradient = jax.grad(lambda model: jnp.sum(gradient_at(Score(model, Logit(0)), "mix", X)[0] ** 2))(score.model)
    assert float(jnp.abs(gradient.params["head"]["kernel"]).sum()) > 0


def test_inside_a_training_step():
    net = Net(nnx.Rngs(0))

    @nnx.jit
    def loss(net):
        return Score(from_nnx(net), Logit(0))(X)

    np.testing.assert_allclose(loss(net), from_nnx(net)(X[None])[0, 0], rtol=1e-5)


class Counting(nnx.Module):
    def __init__(self):
        self.count = nnx.BatchStat(jnp.zeros(()))

    def __call__(self, x):
        self.count[...] = self.count[...] + x.mean()
        return x


class Noisy(nnx.Module):
    def __init__(self, rngs):
        self.rngs = rngs

    def __call__(self, x, deterministic=False):
        return x if deterministic else x + jax.random.normal(self.rngs.noise(), x.shape)


@pytest.mark.parametrize("wrap", [lambda f: f, nnx.jit, nnx.remat], ids=["plain", "jit", "remat"])
def test_a_change_of_state_is_refused(wrap):
    class Outer(nnx.Module):
        def __init__(self):
            self.inner = Counting()

        def __call__(self, x):
            return wrap(lambda module, x: module(x))(self.inner, x)

    with pytest.raises(InputError, match=r"changes its state.*inner/count"):
        from_nnx(Outer())(X[None])


def test_random_numbers_are_refused_with_the_remedy():
    with pytest.raises(InputError, match=r"draws random numbers.*Pass deterministic=True"):
        from_nnx(Noisy(nnx.Rngs(noise=0)))(X[None])
    model = from_nnx(Noisy(nnx.Rngs(noise=0)), deterministic=True)
    np.testing.assert_array_equal(model(X[None]), X[None])


class Lifted(nnx.Module):
    """Three blocks run by nnx.scan, and one by nnx.remat."""

    def __init__(self, rngs):
        @nnx.split_rngs(splits=3)
        @nnx.vmap(in_axes=0, out_axes=0)
        def create(rngs):
            return nnx.Linear(3, 3, rngs=rngs)

        self.stack = create(rngs)
        self.last = Block(3, 2, nnx.relu, rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def run(layer, x):
            return jnp.tanh(layer(x))

        return nnx.remat(lambda block, x: block(x))(self.last, run(self.stack, x)).mean((1, 2))


def test_inside_lifted_transformations():
    net = Lifted(nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(2), (4, 4, 3))
    score = Score(from_nnx(net), Logit(0))
    shapes = {layer.path: layer.shape for layer in layers(score, x)}
    assert shapes["stack"] == (3, 4, 4, 3) and shapes["last/conv"] == (4, 4, 2)
    kernel, bias = net.stack.kernel[...], net.stack.bias[...]
    still = nnx.view(net.last, deterministic=True, use_running_average=True)

    def by_hand(deltas):
        h = x
        for k in range(3):
            h = jnp.tanh(h @ kernel[k] + bias[k][None, None] + deltas[k])
        return still(h[None]).mean((1, 2))[0, 0]

    gradient, _ = gradient_at(score, "stack", x)
    np.testing.assert_allclose(gradient, jax.grad(by_hand)(jnp.zeros((3, 4, 4, 3))), rtol=1e-4, atol=1e-6)


def test_threads_do_not_meet():
    nets = [Net(nnx.Rngs(k)) for k in range(4)]
    found: dict[int, object] = {}

    def work(number):
        model = from_nnx(nets[number])
        found[number] = [layer.path for layer in layers(model, X)], tap(Score(model, Logit(0)), "mix@2")(X)[1]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, net in enumerate(nets):
        paths, activation = found[number]
        assert paths.count("mix@2") == 1 and len(paths) == 11
        np.testing.assert_allclose(activation, tap(Score(from_nnx(net), Logit(0)), "mix@2")(X)[1], rtol=1e-5, atol=1e-6)
