"""The command line and its job file: the only place that parses text from people or prints any."""
