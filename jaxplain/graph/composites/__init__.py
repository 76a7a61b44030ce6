"""Rules of several methods, and the composites that they make: one file per family."""
