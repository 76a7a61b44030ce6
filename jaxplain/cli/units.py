"""What the stages of a job are called, and what they count."""

OPENING = "open"
UNITS = {
    "compile": "programs",
    "explain": "images",
    "mean image": "images",
    "sweep": "images",
    "aggregate": "maps",
    "curves": "orders",
    "verify": "shards",
}
TITLES = {
    OPENING: "opening",
    "index": "indexing",
    "plan": "planning",
    "compile": "compiling",
    "explain": "explaining",
    "aggregate": "aggregating",
    "mean image": "averaging",
    "sweep": "sweeping",
    "curves": "measuring",
    "verify": "verifying",
}


def title(stage: str) -> str:
    """Return a stage's name for people."""
    return TITLES.get(stage, stage)


def unit(stage: str) -> str:
    """Return what a stage counts."""
    return UNITS.get(stage, "steps")
