"""The one dispatcher: which form of an operation serves on which device, and why.

An operation's `api.py` declares ``OP = Op(name, forms, winners, typical)``:

* ``forms``: every way to compute it. The first is the plain one, which serves always and everywhere. Each other one
  says by ``refusal(spec, platform)`` why it cannot serve, or ``""``. A spec is whatever static description the
  operation has (shapes, dtypes, settings).
* ``winners``: the table of what was measured, the strongest row first: on these platforms, for these specs, this form
  wins, with the figure and the row of `benchmarks/results` that it was read from. What no row names is not chosen.
* ``typical``: a function that returns specs by name, for which ``jaxplain kernels`` shows the choice.

``OP.run(spec, *arrays, implementation=...)`` then calls ``form.run(spec, *arrays)``. "auto" takes the first winner that
does not refuse, else the plain form. A form asked for by name that cannot serve on the present device raises
``NotImplementedError`` with its reasons.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import lax

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
"""Names of platforms, as lowering has them."""


class Form(NamedTuple):
    """One way to compute an operation.

    Args:
        name: What ``implementation`` takes.
        run: ``run(spec, *arrays)``.
        refusal: ``refusal(spec, platform)``, why the form cannot serve there, or ``""``.
    """

    name: str
    run: Callable[..., Any]
    refusal: Callable[[Any, str], str] = lambda spec, platform: ""


class Winner(NamedTuple):
    """One row of the table of what was measured.

    Args:
        form: The form that wins.
        figure: What was measured, where.
        platforms: Where it holds.
        where: The specs for which it holds.
    """

    form: str
    figure: str
    platforms: tuple[str, ...] = PLATFORMS
    where: Callable[[Any], bool] = lambda spec: True


class Row(NamedTuple):
    """Whether a form is chosen for a case, and why."""

    op: str
    case: str
    form: str
    chosen: bool
    reason: str


@dataclass(frozen=True)
class Op:
    """An operation in several forms; see the module."""

    name: str
    forms: tuple[Form, ...]
    winners: tuple[Winner, ...] = ()
    typical: Callable[[], Mapping[str, Any]] = dict

    def choose(self, spec: Any, *, implementation: str = "auto", platform: str | None = None) -> Form:
        """Return the form that serves.

        Args:
            spec: The operation's own description of the call.
            implementation: "auto", or a form's name.
            platform: One of ``PLATFORMS``; the present device's by default.

        Raises:
            ValueError: No form has that name.
            NotImplementedError: The form asked for cannot serve there, with its reasons.
        """
        platform = platform or present()
        if implementation == "auto":
            winner = self._winner(spec, platform)
            return self.forms[0] if winner is None else self._form(winner.form)
        form = self._form(implementation)
        reason = form.refusal(spec, platform)
        if reason:
            others = ", ".join(repr(other.name) for other in self.forms if not other.refusal(spec, platform))
            raise NotImplementedError(
                f"{self.name}: {form.name!r} cannot serve on {platform}: {reason}; "
                f"pass implementation='auto', or one that can: {others}."
            )
        return form

    def run(self, spec: Any, *arrays: Any, implementation: str = "auto") -> Any:
        """Compute the operation by the form that serves.

        What "auto" takes for the present platform may not serve on others, such as the host beside a GPU: then the
        program holds the plain form too, and its compilation keeps one of the two.
        """
        form, plain = self.choose(spec, implementation=implementation), self.forms[0]
        if implementation != "auto" or not any(form.refusal(spec, platform) for platform in PLATFORMS):
            return form.run(spec, *arrays)
        return lax.platform_dependent(*arrays, default=partial(plain.run, spec), **{present(): partial(form.run, spec)})

    def explain(self, spec: Any, *, case: str = "", platform: str | None = None) -> list[Row]:
        """Return one row per form: whether "auto" takes it, and why."""
        platform = platform or present()
        winner, chosen = self._winner(spec, platform), self.choose(spec, platform=platform)
        rows = []
        for form in self.forms:
            if form is chosen:
                reason = winner.figure if winner else "the plain form; no other is known to win"
            else:
                reason = form.refusal(spec, platform) or f"no measured gain over {chosen.name}"
            rows.append(Row(self.name, case, form.name, form is chosen, reason))
        return rows

    def _winner(self, spec: Any, platform: str) -> Winner | None:
        for row in self.winners:
            if platform in row.platforms and row.where(spec) and not self._form(row.form).refusal(spec, platform):
                return row
        return None

    def _form(self, name: str) -> Form:
        for form in self.forms:
            if form.name == name:
                return form
        known = ", ".join(repr(form.name) for form in self.forms)
        raise ValueError(f"{self.name}: unknown implementation {name!r}; known: 'auto', {known}.")


def present() -> str:
    """Return the present platform by its lowering name."""
    backend = jax.default_backend()
    if backend == "gpu":
        return "rocm" if "rocm" in jax.devices()[0].client.platform_version.lower() else "cuda"
    return backend


def operations() -> Iterator[Op]:
    """Yield the operations: every folder beside this file has one, as ``OP`` of its `api.py`."""
    package = importlib.import_module(__package__)
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        if found.ispkg:
            yield importlib.import_module(f"{package.__name__}.{found.name}.api").OP


def choices(platform: str | None = None) -> list[Row]:
    """Return, for every operation and its typical cases, which form "auto" takes, and why.

    Args:
        platform: One of ``PLATFORMS``; the present device's by default.
    """
    rows = []
    for op in operations():
        for case, spec in op.typical().items():
            rows += op.explain(spec, case=case, platform=platform)
    return rows
