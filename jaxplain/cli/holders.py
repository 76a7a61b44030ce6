"""Who works on what in a store, as its leases tell."""

from collections.abc import Callable

from jaxplain.cli.progress import duration
from jaxplain.io.leases import Lease, Leases
from jaxplain.io.store import Store

_KINDS = {"": "shard", "peppr": "sweep of shard"}
_WHOLE = {"global": "global maps", "curves": "curves"}


def show_holders(store: Store, say: Callable[[str], None]) -> None:
    """Say who holds what, a line each; nothing where nobody works.

    Args:
        store: An open store.
        say: Writes a line.
    """
    standing = Leases(store.storage).standing()
    if standing:
        say("held by workers:")
    for what, lease in standing.items():
        say(f"  {_named(what)}: {lease.owner}, {_since(lease)}")


def _named(what: str) -> str:
    scope, _, number = what.rpartition("/")
    if scope in _WHOLE:
        return _WHOLE[scope]
    return f"{_KINDS.get(scope, scope)} {int(number) if number.isdecimal() else number}"


def _since(lease: Lease) -> str:
    if lease.owner.gone:
        return "which runs no more: the next worker that looks takes it over"
    return "for less than a minute" if lease.seconds < 60 else f"for about {duration(lease.seconds)}"
