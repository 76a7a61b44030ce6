"""``python -m jaxplain.cli``: the command line without its console script."""

from jaxplain.cli.main import console

console()
