"""``jaxplain``: the command line."""

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from jaxplain._errors import unknown
from jaxplain.cli.eventlog import EventLog, wants_events
from jaxplain.cli.failures import BAD_INPUT, DONE, INCOMPLETE, report
from jaxplain.cli.plain import plain
from jaxplain.cli.streams import Streams
from jaxplain.engine.stop import Stopped

COMMANDS = (
    *("run", "status", "verify", "retry", "finalize", "peppr", "report", "index", "calibrate"),
    *("methods", "layers", "audit", "kernels", "version"),
)
DESCRIPTION = "Explain JAX models over whole data sets: attribution maps, global maps, and tests of what they say."
EPILOG = """\
a first run:
  jaxplain index photos              once for a folder of images
  jaxplain layers job.toml           names that a layer may have
  jaxplain methods                   methods and their knobs
  jaxplain run job.toml              maps and global maps; the same command goes on after a kill
  jaxplain peppr job.toml            erase and restore: do the global maps say what the network uses?
  jaxplain report runs/store         one page with everything

exit codes:
  0 done   2 bad input   1 a fault of jaxplain   75 unfinished, run again   130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words of the command line; those of the process by default.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    streams = Streams.of_process()
    log = EventLog(sys.stderr) if wants_events(words) else None
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning if log is None else log.warning  # type: ignore[assignment]
            first = next((word for word in words if not word.startswith("-")), None)
            if first is not None and first not in COMMANDS:
                raise unknown("jaxplain", "command", first, COMMANDS)
            parsed = _parser().parse_args(words)
            if parsed.command is None:
                _parser().print_help()
                return BAD_INPUT
            return int(_module(parsed.command).execute(parsed, streams))
    except SystemExit as stop:  # argparse: --help, or words that it does not know
        return stop.code if isinstance(stop.code, int) else BAD_INPUT
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except (Exception, KeyboardInterrupt, Stopped) as error:
        return report(error, debug=debug, log=None if log is None else log.write)


def console() -> NoReturn:
    """Run the command of this process and end it."""
    code = main()
    if code == INCOMPLETE:
        # What the device or a compiler still works on is of no use any more, and would keep the program from its end.
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    common: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser("jaxplain", description=DESCRIPTION, epilog=EPILOG, **common)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in COMMANDS:
        module = _module(name)
        epilog = f"examples:\n{module.EXAMPLES}" if module.EXAMPLES else None
        below = subparsers.add_parser(name, help=module.HELP, description=module.DESCRIPTION, epilog=epilog, **common)
        module.add(below)
        below.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"jaxplain.cli.commands.{name}")


def _show_warning(message: Warning | str, *_: Any) -> None:
    print(f"jaxplain: warning: {plain(message)}", file=sys.stderr)
