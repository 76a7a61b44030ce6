"""The compiled part of a sweep: one batch, all orders, both modes and all steps in one program.

The program loops over (order, mode, step) and makes one mask at a time, ``rank < k``, the same for all images of the
batch; only scores are kept, so the memory for images does not grow with the number of steps.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain._errors import InputError
from jaxplain._typing import Array, PyTree
from jaxplain.core.baselines import Baseline
from jaxplain.core.model import Model
from jaxplain.core.ops import rank_erase
from jaxplain.core.sampling import image_key
from jaxplain.engine.devices import ONE_DEVICE, Devices


@partial(jax.jit, static_argnames="devices")
def sweep_batch(
    model: Model, images: Array, blank: Array, ranks: Array, counts: Array, *, devices: Devices = ONE_DEVICE
) -> Array:
    """Score a batch under every mask.

    Args:
        model: Outputs ``(batch, labels)``.
        images: ``(batch, *in)``.
        blank: What is shown instead, of the images' shape.
        ranks: ``(orders, *space)`` int32; ``*in`` is ``*space``, or ``*space`` and the channels.
        counts: ``(steps,)`` int32, how many pixels of the order are taken.
        devices: Those that share out the batch.

    Returns:
        ``(batch, orders, 2, steps, labels)``; mode 0 erases the pixels taken, mode 1 restores them.
    """
    orders, steps = ranks.shape[0], counts.shape[0]

    def on_device(shared: PyTree, own: PyTree) -> Array:
        (model, ranks, counts), (images, blank) = shared, own

        def one(number: Array) -> Array:
            order, mode, step = jnp.unravel_index(number, (orders, 2, steps))

            def perturbed(image: Array, blank: Array) -> Array:
                return rank_erase(image, blank, ranks[order], counts[step][None], restore=mode == 1)[0]

            return outputs_of(model, jax.vmap(perturbed)(images, blank))

        scores = lax.map(one, jnp.arange(orders * 2 * steps))
        return jnp.moveaxis(scores.reshape(orders, 2, steps, *scores.shape[1:]), 3, 0)

    return devices.share_out(on_device, (model, ranks, counts), (images, blank))


@partial(jax.jit, static_argnames="devices")
def score_batch(model: Model, images: Array, *, devices: Devices = ONE_DEVICE) -> Array:
    """Score a batch as it is: ``(batch, labels)``."""
    return devices.share_out(outputs_of, model, images)


@partial(jax.jit, static_argnames="devices")
def blank_batch(baseline: Baseline, images: Array, words: Array, key: Array, *, devices: Devices = ONE_DEVICE) -> Array:
    """Make the blank of every image.

    Args:
        baseline: What a pixel shows when it is erased.
        images: ``(batch, *in)``.
        words: ``(batch, 2)`` uint32, the images' ids.
        key: Typed key; each image folds in its id.
        devices: Those that share out the batch.
    """

    def on_device(shared: PyTree, own: PyTree) -> Array:
        baseline, key = shared
        return jax.vmap(lambda x, word: baseline(x, image_key(key, word)))(*own)

    return devices.share_out(on_device, (baseline, key), (images, words))


def outputs_of(model: Model, images: Array) -> Array:
    """Return the outputs as float32 ``(batch, labels)``.

    Raises:
        InputError: If the model returns anything else.
    """
    outputs = model(images)
    if not hasattr(outputs, "ndim") or outputs.ndim not in (1, 2):
        shapes = jax.tree.map(jnp.shape, outputs)
        raise InputError(
            f"peppr: the model must return scores (batch, labels), got {shapes}; wrap it to return the logits."
        )
    return outputs.reshape(outputs.shape[0], -1).astype(jnp.float32)
