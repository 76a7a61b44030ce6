"""``python -m jaxplain.cli``: the command line without its console script."""

import sys

from jaxplain.cli.main import main

sys.exit(main())
