"""Several devices at once, and no threads but XLA's: both in processes of their own."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("jaxplain_native")

PRELUDE = """
import os, threading
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import jaxplain_native as native
from jaxplain_kernels.convolution import convolve
from jaxplain_kernels.convolution.cases import plain_and_spec
from jaxplain_kernels.pool import max_pool

CASE = ((8, 20, 18, 16), (3, 3, 16, 32), {"padding": "SAME", "window_strides": (2, 2)})
plain, spec = plain_and_spec(CASE)
rng = np.random.default_rng(0)
x, weights = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in CASE[:2])

def maps(conv):
    gradient = jax.grad(lambda x, weights: jnp.sum(jnp.tanh(conv(x[None], weights))))
    return jax.jit(jax.vmap(gradient, (0, None)))

ours, want = maps(lambda x, weights: native.convolve(x, weights, spec)), maps(plain)(x, weights)
def check(got):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
"""
DEVICES = """
assert jax.device_count() == 8
placed = [jax.device_put((x, weights), device) for device in jax.devices()]
for _ in range(5):  # all devices at once
    for result in [ours(*pair) for pair in placed]:
        check(result)
def work():
    for pair in placed:
        check(ours(*pair))
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
mesh = Mesh(np.array(jax.devices()), ("images",))
split = jax.device_put(x, NamedSharding(mesh, PartitionSpec("images")))
check(ours(split, jax.device_put(weights, NamedSharding(mesh, PartitionSpec()))))

def pooled(conv, pool, x, weights):
    return jnp.sum(pool(jnp.tanh(conv(x, weights))) ** 2)

settings = {"window": (1, 3, 3, 1), "strides": (1, 2, 2, 1), "padding": ((0, 0),) * 4}
parts = PartitionSpec("images"), PartitionSpec()
each = jax.shard_map(
    lambda x, weights: jax.grad(
        lambda x, weights: pooled(
            lambda x, weights: convolve(x, weights, spec, implementation="onednn"),
            lambda y: max_pool(y, implementation="native", **settings),
            x,
            weights,
        ),
        (0, 1),
    )(x, weights),
    mesh=mesh,
    in_specs=parts,
    out_specs=parts,
)
def plainly(x, weights):
    return pooled(plain, lambda y: max_pool(y, implementation="xla", **settings), x, weights)
for got, one in zip(jax.jit(each)(split, weights), jax.jit(jax.grad(plainly, (0, 1)))(x, weights)):
    np.testing.assert_allclose(got, one, rtol=1e-3, atol=1e-3)
"""
NO_MORE_THREADS = """
def tasks():
    return len(os.listdir("/proc/self/task"))
maps(plain)(x, weights).block_until_ready()
before = tasks()
for _ in range(3):
    check(ours(x, weights))
assert tasks() == before, (before, tasks())
"""


@pytest.mark.parametrize(
    ("text", "flags"),
    [(DEVICES, "--xla_force_host_platform_device_count=8"), (NO_MORE_THREADS, "")],
    ids=["eight devices", "no more threads"],
)
def test_in_a_process_of_its_own(text, flags):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + text + "print('all right')"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and "all right" in done.stdout, done.stderr[-3000:]
