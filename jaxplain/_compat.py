"""Every touch of JAX interfaces that may change between versions; nothing else reads a jaxpr's internals.

Written against JAX 0.10 and 0.11. Primitives are matched by name, so that a renamed or missing one cannot break an
import. From 0.11 on an open and a closed jaxpr are one class; code that reads ``.jaxpr`` and ``.consts`` where they
exist works on both.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.ad_checkpoint  # jax does not import this submodule by itself
from jax.extend import core as jex
from jax.extend import source_info_util

Kind = Literal["plain", "call", "custom", "remat", "scan", "cond", "while", "opaque"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("jit", "pjit", "closed_call", "core_call", "core_closed_call", "eval_jaxpr"), "call"),
    **dict.fromkeys(("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"), "custom"),
    **dict.fromkeys(("remat", "remat2", "checkpoint"), "remat"),
    **{"scan": "scan", "cond": "cond", "while": "while"},
    **dict.fromkeys(
        (
            "pallas_call", "ffi_call", "call_exported", "custom_partitioning", "pure_callback", "io_callback",
            "xla_call_module", "shard_map", "custom_vmap_call", "core_map", "run_state",
        ),
        "opaque",
    ),
}  # fmt: skip

# These rewrite the scopes that a transformation inside the traced function left behind.
_TRACE_SCOPES = ("rematted_computation", "checkpoint")

Equation = Any
"""One equation of a jaxpr, ``jax.extend.core.JaxprEqn``."""
Literal_ = jex.Literal


class Program(NamedTuple):
    """A jaxpr with the values of its constant variables, in a form that both class layouts share."""

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    equations: tuple[Equation, ...]
    constants: tuple[Any, ...]
    """The variables that stand for constants."""
    values: tuple[Any, ...]
    """The constants themselves, parallel to ``constants``."""


def program(jaxpr: Any) -> Program:
    """Read an open or a closed jaxpr."""
    inner = getattr(jaxpr, "jaxpr", jaxpr)
    return Program(
        tuple(inner.invars),
        tuple(inner.outvars),
        tuple(inner.eqns),
        tuple(inner.constvars),
        tuple(getattr(jaxpr, "consts", ())),
    )


def trace_program(fun: Callable[..., Any], *args: Any) -> tuple[Program, Any]:
    """Trace a function and return its program and the tree of its output's shapes."""
    closed, shapes = jax.make_jaxpr(fun, return_shape=True)(*args)
    return program(closed), shapes


def primitive_names() -> frozenset[str]:
    """Return the names of JAX's own primitives."""
    found = (getattr(jex.primitives, word) for word in dir(jex.primitives) if word.endswith("_p"))
    return frozenset(str(getattr(primitive, "name", "")) for primitive in found) - {""}


def kind_of(equation: Equation) -> Kind:
    """Return what sort of equation this is; ``plain`` for a primitive without a body that matters."""
    return _KINDS.get(equation.primitive.name, "plain")


def bodies_of(equation: Equation) -> tuple[Program, ...]:
    """Return the programs inside an equation: one for calls and scan, the branches of cond, (cond, body) of while."""
    params = equation.params
    match kind_of(equation):
        case "cond":
            return tuple(program(branch) for branch in params["branches"])
        case "while":
            return program(params["cond_jaxpr"]), program(params["body_jaxpr"])
        case "call" | "custom" | "remat" | "scan":
            for word in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
                if word in params:
                    return (program(params[word]),)
    return ()


def call_name(equation: Equation) -> str:
    """Return the name of the function that a call equation calls, or ``""``."""
    return str(equation.params.get("name", "")) if kind_of(equation) == "call" else ""


def tag_name(equation: Equation) -> str | None:
    """Return the tag that ``jax.ad_checkpoint.checkpoint_name`` left on a value, or None."""
    return str(equation.params["name"]) if equation.primitive.name == "name" else None


def scan_split(equation: Equation) -> tuple[int, int, int]:
    """Return a scan's number of constants, its number of carried values and its length."""
    params = equation.params
    if "ft_in" in params:  # from JAX 0.11 on: a tree of (constants, carry, slices)
        constants, carry, _ = params["ft_in"].unpack()
        return len(constants), len(carry), params["length"]
    return params["num_consts"], params["num_carry"], params["length"]


def while_split(equation: Equation) -> tuple[int, int]:
    """Return a while loop's number of constants of the condition and of the body."""
    return equation.params["cond_nconsts"], equation.params["body_nconsts"]


def scopes_of(equation: Equation) -> tuple[str, ...]:
    """Return the named scopes around an equation, outermost first, without what vmap, jvp or remat added.

    The scopes are relative to the program that holds the equation.
    """
    stack = equation.source_info.name_stack
    elements = getattr(stack, "stack", None)
    if elements is None:
        return tuple(_undecorated(str(stack)))
    names = (str(element.name) for element in elements if type(element).__name__ == "Scope")
    return tuple(part for name in names for part in name.split("/") if part and part not in _TRACE_SCOPES)


def _undecorated(text: str) -> Iterator[str]:
    """Undo ``transpose(jvp(Net))/b1`` in a name stack that only prints itself."""
    for part in text.split("/"):
        bare = part.rsplit("(", 1)[-1].rstrip(")")
        if bare and bare not in _TRACE_SCOPES:
            yield bare


def source_line(equation: Equation) -> str:
    """Return the user's source line of an equation, for messages."""
    return str(source_info_util.summarize(equation.source_info))


@contextlib.contextmanager
def context_of(equation: Equation) -> Iterator[None]:
    """Enter an equation's scopes and trace-time settings, so that what is evaluated inside keeps its names."""
    info = equation.source_info
    stack = source_info_util.current_name_stack() + info.name_stack
    with source_info_util.user_context(info.traceback, name_stack=stack), equation.ctx.manager:
        yield


@contextlib.contextmanager
def settings_of(equation: Equation) -> Iterator[None]:
    """Enter an equation's trace-time settings alone, where its scopes are open already."""
    with source_info_util.user_context(equation.source_info.traceback), equation.ctx.manager:
        yield


def bind(equation: Equation, inputs: Sequence[Any], *, scoped: bool = True) -> list[Any]:
    """Evaluate one equation unchanged; a custom derivative rule stays whole.

    Args:
        equation: The equation.
        inputs: Its inputs.
        scoped: Whether to open the equation's named scopes.
    """
    bound = equation.primitive.get_bind_params(equation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    with context_of(equation) if scoped else settings_of(equation):
        outputs = equation.primitive.bind(*functions, *inputs, **params)
    return list(outputs) if equation.primitive.multiple_results else [outputs]


def bind_remat(equation: Equation, fun: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    """Call ``fun`` under the same rematerialization as a remat equation."""
    params = equation.params
    with context_of(equation):
        return jax.checkpoint(fun, prevent_cse=params["prevent_cse"], policy=params["policy"])(*inputs)


def bind_scan(
    equation: Equation,
    body: Callable[[list[Any], list[Any], Any], tuple[list[Any], Any]],
    inputs: Sequence[Any],
    ports: Any,
) -> tuple[list[Any], Any]:
    """Run a scan equation with another body.

    Args:
        equation: The scan.
        body: ``body(constants and carry, slices, ports) -> (carry and stacked outputs of one step, emitted)``.
        inputs: The equation's inputs.
        ports: A tree of arrays whose first axis is the scan's.

    Returns:
        The equation's outputs, and what the body emitted, stacked.
    """
    n_constants, n_carry, length = scan_split(equation)
    constants, start = list(inputs[:n_constants]), list(inputs[n_constants : n_constants + n_carry])

    def step(carry: list[Any], slices: Any) -> tuple[list[Any], Any]:
        inner, port = slices
        outputs, emitted = body(constants + carry, inner, port)
        return outputs[:n_carry], (outputs[n_carry:], emitted)

    params = equation.params
    with context_of(equation):
        carry, (stacked, emitted) = jax.lax.scan(
            step,
            start,
            (list(inputs[n_constants + n_carry :]), ports),
            length=length,
            reverse=params["reverse"],
            unroll=params["unroll"],
        )
    return [*carry, *stacked], emitted


def bind_cond(equation: Equation, branches: Sequence[Callable[..., Any]], inputs: Sequence[Any], ports: Any) -> Any:
    """Run a cond equation with other branches, each called as ``branch(ports, *operands)``."""
    index, *operands = inputs
    with context_of(equation):
        return jax.lax.switch(index, branches, ports, *operands)


def is_literal(atom: Any) -> bool:
    """Tell a constant written into an equation from a variable."""
    return isinstance(atom, Literal_)


def shard_map(act: Callable[..., Any], mesh: jax.sharding.Mesh, in_specs: Any, out_specs: Any) -> Callable[..., Any]:
    """Run a function on every device of a mesh with its part of the arguments.

    How values vary over the mesh is not checked: rules on traced operations bind equations in which that is not said.
    """
    return jax.shard_map(act, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def wait_for_processes(name: str, seconds: float) -> None:
    """Wait until every process that ``jax.distributed`` connects has called this with the same name.

    The processes' own service does it. A collective of their devices (``sync_global_devices``) would be bound by the
    time limits of collectives, and one process may be hours behind another.

    Args:
        name: Never used twice.
        seconds: How long at most.

    Raises:
        RuntimeError: A process is lost, or did not come in time.
    """
    from jax._src import distributed

    client: Any = distributed.global_state.client
    client.wait_at_barrier(name, int(1000 * seconds))


def forget_compile_cache() -> None:
    """Let JAX look anew at its settings of the persistent compile cache, which it does at the first program only."""
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()
