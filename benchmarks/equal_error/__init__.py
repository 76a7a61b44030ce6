"""Evaluations and seconds that methods take to the same error, on two trained networks; see ``__main__``."""
