"""Names of places in a network, read from the named scopes of its equations.

A path is made of the names of nested modules: ``block1/Conv_0``. It comes from ``jax.named_scope``:

- Linen opens a scope around each method of each module; the NNX adapter opens one around each call of a submodule,
  which holds the attribute's path. Both adapters number the calls, so a module that is called twice in a row has two
  entries.
- The root module is left out: what the adapters mark as root, and elsewhere a first name that all scopes share, if
  other names follow it. The method in ``encoder.encode`` is dropped.

``CheckpointBlock_0``, as Linen names a rematerialized ``Block``, reads ``Block_0`` unless that name is taken.
"""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import jax

Path = tuple[str, ...]
Scope = contextlib.AbstractContextManager[None]

# A scope's name is cut at "/" when a name stack is printed, so a path is joined by "." inside a mark.
_MARK = "jaxplain:"
_ROOT = f"{_MARK}root"
_METHOD = re.compile(r"^(\w+)\.(\w+)$")
_REMAT = re.compile(r"^(?:Checkpoint|Remat)([A-Z]\w*_\d+)$")


@dataclass(frozen=True)
class Opened:
    """A module or scope that is open: its path, and the number of its call where an adapter counted."""

    path: Path
    call: int | None = None


@dataclass(frozen=True)
class Place:
    """Where an equation stands: what is open there, outermost first, and whether an adapter marked the root."""

    opened: tuple[Opened, ...] = ()
    marked: bool = False

    @property
    def path(self) -> Path:
        """The path of the innermost module or scope."""
        return self.opened[-1].path if self.opened else ()


class Marks:
    """Opens the scopes of one call of a network; an adapter makes one each time."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def root(self) -> Scope:
        """Open the whole network: what is around it is not part of any path."""
        return jax.named_scope(_ROOT)

    def call(self, path: Sequence[str] = ()) -> Scope:
        """Open one call of a module: of the given path, or of the innermost scope that the framework opened."""
        return jax.named_scope(f"{_MARK}{'.'.join(path)}#{next(self._count)}")


def place(scopes: Iterable[str]) -> Place:
    """Read the scopes around an equation, outermost first."""
    opened: list[Opened] = []
    marked = False
    by_method: Path | None = None
    for scope in scopes:
        top = opened[-1] if opened else Opened(())
        if scope == _ROOT:
            opened, marked = [], True
        elif scope.startswith(_MARK):
            text, _, number = scope.removeprefix(_MARK).rpartition("#")
            path = tuple(text.split(".")) if text else top.path
            if path != top.path:
                opened.append(Opened(path, int(number)))
            elif opened and top.call is None:  # else the module called a method of its own
                opened[-1] = Opened(path, int(number))
        elif "->" not in scope:  # else it is the formula of jnp.einsum
            match = _METHOD.match(scope)
            name = match[1] if match else scope
            # A module's method inside its own call, or its call inside its own method, is no other module.
            if top.path[-1:] == (name,) and (match or by_method == top.path):
                continue
            opened.append(Opened((*top.path, name)))
            by_method = opened[-1].path if match else by_method
    return Place(tuple(opened), marked)


def naming(places: Iterable[Place]) -> Callable[[Path], str]:
    """Return the map of paths to the names that are shown: without the root, and without remat's renaming.

    Args:
        places: The places of all equations that depend on the input.
    """
    found = list(places)
    root = root_length(found)
    taken = {opened.path for item in found for opened in item.opened}

    def name(path: Path) -> str:
        bare = [_REMAT.sub(r"\1", part) for part in path]
        kept = [
            part if (*path[:position], plain) in taken else plain
            for position, (part, plain) in enumerate(zip(path, bare, strict=True))
        ]
        return "/".join(kept[root:])

    return name


def root_length(places: Iterable[Place]) -> int:
    """Return 1 if the first name is shared by all paths and only stands for the whole network, else 0."""
    named = [item for item in places if item.path]
    if any(item.marked for item in named) or len({item.path[0] for item in named}) != 1:
        return 0
    return int(any(len(item.path) > 1 for item in named))
