"""Convolution whose input gradient is chosen by shape.

JAX pulls a cotangent back by a convolution whose kernel has input and output channels swapped by its dimension
numbers. Outside a loop XLA turns that kernel around first; inside a ``while`` loop it does not, and XLA:CPU leaves its
fast path, ten times slower (jaxlib 0.10.2). Here the kernel is turned around in the program.

Forms beside JAX's own, by shape:

* oneDNN, where the optional distribution jaxplain-native is installed (``kernels/native``): forward and backward;
* a 1x1 kernel is a matrix product, forward and backward;
* a strided convolution of few input channels, such as the stem of an image network, or of volumes, is pulled back on
  the coarse grid, all residues at once, and interleaved: no product with the zeros between the rows of a dilated
  cotangent;
* everything else is pulled back by one ordinary convolution, and a kernel that is larger than its input, such as those
  behind the last pooling of small images, gets its padding written out first, forward and backward.

What follows the sums (a factor and a bias of each feature, another array, ReLU) can be part of the call: oneDNN does it
while they are in the cache, and takes the cotangent for zero where ReLU cut off while it reads it. No other form does.
"""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain_kernels.choice import Form, Op, Winner
from jaxplain_kernels.convolution import onednn
from jaxplain_kernels.convolution.xla import in_room, matrix_product, pull_back, pull_back_coarse, thinned

Array = jax.Array
IN_GROUPS = "channels are in groups"
FEWEST_COLUMNS = 8
"""Of all residues together: four, the 3x3 stem of gray images, took 1.3 times as long on the coarse grid as turned."""


class Spec(NamedTuple):
    """The static settings of ``lax.conv_general_dilated``, as its equation has them."""

    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    dimension_numbers: lax.ConvDimensionNumbers
    precision: Any = None
    preferred_element_type: Any = None
    feature_group_count: int = 1


class After(NamedTuple):
    """What is done with each sum of a convolution, in this order."""

    scale: bool = False
    bias: bool = False
    addend: bool = False
    relu: bool = False


NOTHING = After()


class Problem(NamedTuple):
    """What a form is chosen by: shapes and dtypes of input and kernel, the settings, and what follows."""

    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    dtypes: tuple[Any, Any]
    spec: Spec
    after: After = NOTHING


def problem_of(x: Any, kernel: Any, spec: Spec, after: After = NOTHING) -> Problem:
    """Describe a convolution of two arrays, or of their shapes and dtypes."""
    return Problem(tuple(x.shape), tuple(kernel.shape), (x.dtype, kernel.dtype), spec, after)


def fuses(x: Any, kernel: Any, spec: Spec) -> bool:
    """Tell whether what follows a convolution of such arrays costs less in the same call than in a pass of its own."""
    return OP.choose(problem_of(x, kernel, spec, After(bias=True))).name != OP.forms[0].name


def convolve(
    x: Array,
    kernel: Array,
    spec: Spec,
    *,
    scale: Array | None = None,
    bias: Array | None = None,
    addend: Array | None = None,
    relu: bool = False,
    implementation: str = "auto",
) -> Array:
    """Convolve, and do what follows: ``relu(conv(x, kernel) * scale + bias + addend)``.

    Args:
        x: The input.
        kernel: The weights.
        spec: Settings; axes as in its dimension numbers.
        scale: A factor of each feature, (features,).
        bias: Added to each feature, (features,).
        addend: Added then, of the result's shape.
        relu: Whether what is negative becomes zero then; its derivative at zero is zero.
        implementation: "auto", or a form: "xla", "onednn", "pointwise", "coarse", "turned".

    Returns:
        What ``lax.conv_general_dilated`` and these operations return, up to rounding.

    Raises:
        NotImplementedError: The form asked for by name cannot serve, with the reason.
    """
    following = (scale, bias, addend)
    after = After(scale is not None, bias is not None, addend is not None, relu)
    arrays = (x, kernel, *following) if any(after) else (x, kernel)
    found: Array = OP.run(problem_of(x, kernel, spec, after), *arrays, implementation=implementation)
    return found


def _no_pointwise(problem: Problem, platform: str) -> str:
    spec = problem.spec
    if spec.feature_group_count != 1:
        return IN_GROUPS
    if any(problem.kernel[axis] != 1 for axis in spec.dimension_numbers.rhs_spec[2:]):
        return "the kernel covers more than one position"
    padded = any(pads != (0, 0) for pads in spec.padding) or any(by != 1 for by in spec.lhs_dilation)
    return "the input is padded or dilated" if padded else ""


def _no_coarse(problem: Problem, platform: str) -> str:
    spec = problem.spec
    if spec.feature_group_count != 1:
        return IN_GROUPS
    if prod(spec.window_strides) == 1:
        return "the stride is 1"
    if any(by != 1 for by in (*spec.lhs_dilation, *spec.rhs_dilation)):
        return "input or kernel is dilated"
    return "padding cuts the input" if any(low < 0 for low, _ in spec.padding) else ""


def _no_turned(problem: Problem, platform: str) -> str:
    return IN_GROUPS if problem.spec.feature_group_count != 1 else ""


def _alone(refusal: Callable[[Problem, str], str], problem: Problem, platform: str) -> str:
    return "it computes the convolution alone, not what follows" if any(problem.after) else refusal(problem, platform)


def _no_onednn(problem: Problem, platform: str) -> str:
    if platform != "cpu":
        return "oneDNN serves CPUs"
    of_x, of_kernel = problem.dtypes
    shape, spec = problem.shape, problem.spec
    if not _not_thinned(problem):
        shape, spec = _thin(shape, spec)
    shapes = jax.ShapeDtypeStruct(shape, of_x), jax.ShapeDtypeStruct(problem.kernel, of_kernel)
    return onednn.refusal(*shapes, spec)


def _coarse_is_narrow(problem: Problem) -> bool:
    """Tell whether all residues together are no wider than the cotangent, and wide enough for a matrix product."""
    channels_out, channels_in = (problem.kernel[axis] for axis in problem.spec.dimension_numbers.rhs_spec[:2])
    return FEWEST_COLUMNS <= prod(problem.spec.window_strides) * channels_in <= channels_out


def _of_volumes(problem: Problem) -> bool:
    """Tell whether there are three axes of space: XLA:CPU takes its slowest path to a dilated cotangent there."""
    return len(problem.spec.window_strides) == 3


def _plain(
    problem: Problem,
    x: Array,
    kernel: Array,
    scale: Array | None = None,
    bias: Array | None = None,
    addend: Array | None = None,
) -> Array:
    y = lax.conv_general_dilated(x, kernel, **problem.spec._asdict())

    def spread(array: Array) -> Array:
        return lax.broadcast_in_dim(array, y.shape, (problem.spec.dimension_numbers.out_spec[1],))

    if scale is not None:
        y = y * spread(scale)
    if bias is not None:
        y = y + spread(bias)
    if addend is not None:
        y = y + addend
    return jax.nn.relu(y) if problem.after.relu else y


def _pointwise(problem: Problem, x: Array, kernel: Array) -> Array:
    return matrix_product(x, kernel, problem.spec)


def _not_thinned(problem: Problem) -> bool:
    """Tell whether this is no 1x1 kernel with a stride, which is pulled back faster as a product of what it reads."""
    return bool(_no_pointwise(problem, "cpu")) or prod(problem.spec.window_strides) == 1


def _thin(shape: tuple[int, ...], spec: Spec) -> tuple[tuple[int, ...], Spec]:
    """Return the shape of what a kernel of one position reads, and the settings with which it reads that."""
    steps = dict(zip(spec.dimension_numbers.lhs_spec[2:], spec.window_strides, strict=True))
    read = tuple(-(-size // steps.get(axis, 1)) for axis, size in enumerate(shape))
    return read, spec._replace(window_strides=(1,) * len(steps))


def _for_onednn(problem: Problem) -> bool:
    return any(problem.after) or _not_thinned(problem)


def _onednn(
    problem: Problem,
    x: Array,
    kernel: Array,
    scale: Array | None = None,
    bias: Array | None = None,
    addend: Array | None = None,
) -> Array:
    spec = problem.spec
    if not _not_thinned(problem):
        x, spec = thinned(x, spec), _thin(problem.shape, spec)[1]
    coarse = not _no_coarse(problem, "cpu") and _coarse_is_narrow(problem)
    following = {"scale": scale, "bias": bias, "addend": addend, "relu": problem.after.relu}
    return onednn.convolve(x, kernel, spec, coarse=coarse, **following)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _pulled_by(pull: Callable[..., Array], problem: Problem, x: Array, kernel: Array) -> Array:
    found: Array = in_room(x, kernel, **problem.spec._asdict())
    return found


def _forward(
    pull: Callable[..., Array], problem: Problem, x: Array, kernel: Array
) -> tuple[Array, tuple[Array, Array]]:
    return in_room(x, kernel, **problem.spec._asdict()), (x, kernel)


def _backward(
    pull: Callable[..., Array], problem: Problem, kept: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    x, kernel = kept
    (of_kernel,) = jax.vjp(lambda kernel: _plain(problem, x, kernel), kernel)[1](cotangent)
    return pull(cotangent, kernel, x.shape, problem.spec).astype(x.dtype), of_kernel


_pulled_by.defvjp(_forward, _backward)


def _typical() -> dict[str, Problem]:
    from jaxplain_kernels.convolution.cases import LARGE, Case, plain_and_spec

    def problem(case: Case) -> Problem:
        x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in case[:2])
        return problem_of(x, kernel, plain_and_spec(case)[1])

    return {name: problem(case) for name, case in LARGE.items()}


_RECORD = "(results/cpu/kernels.json, convolution)"
OP = Op(
    "convolution",
    (
        Form("xla", _plain),
        Form("onednn", _onednn, _no_onednn),
        Form("pointwise", _pointwise, partial(_alone, _no_pointwise)),
        Form("coarse", partial(_pulled_by, pull_back_coarse), partial(_alone, _no_coarse)),
        Form("turned", partial(_pulled_by, pull_back), partial(_alone, _no_turned)),
    ),
    (
        Winner(
            "onednn", "1.2 to 2.2 times as fast, depthwise 30 to 40 (results/cpu/native.json)", ("cpu",), _for_onednn
        ),
        Winner("pointwise", f"1.1 to 2.4 times as fast, backward in a loop 1.5 to 3.3 {_RECORD}", ("cpu",)),
        Winner(
            "coarse", f"backward 2.7 times as fast for a stem, 18 for patches {_RECORD}", ("cpu",), _coarse_is_narrow
        ),
        Winner(
            "coarse",
            f"backward of volumes 10 to 38 times as fast, in a loop 0.4 to 0.7 {_RECORD}",
            ("cpu",),
            _of_volumes,
        ),
        Winner("turned", f"backward as fast, in a loop 1.2 to 8.6 times {_RECORD}", ("cpu",)),
    ),
    _typical,
)
