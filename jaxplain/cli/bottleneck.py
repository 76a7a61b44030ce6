"""When the images do not come fast enough: said in a few words beside the speed, and once with what to do about it."""

from jaxplain.engine.events import Advanced, Event, Finished, Started

SHARE = 0.25
"""From this share of the time on, waiting for input is worth a word."""
SECONDS = 20.0
"""No advice before the stage took so long: the first batches always wait."""
REMEDY = "raise source.threads, or decode the images once into a .npy file or zarr"


class Bottleneck:
    """Follows the events of a run and tells how large a share of its time the device waited for input."""

    def __init__(self) -> None:
        self._seconds = self._waited = 0.0
        self._told = False

    def take(self, event: Event, seconds: float) -> str:
        """Take in an event of a stage that began some seconds ago; return advice, at most once per stage."""
        match event:
            case Started():
                self._seconds, self._waited, self._told = 0.0, 0.0, False
            case Advanced() if event.waiting is not None:
                self._seconds, self._waited = seconds, event.waiting.get("input", 0.0)
            case Finished():
                self._seconds = 0.0
        if self._told or self._seconds < SECONDS or self.share < SHARE:
            return ""
        self._told = True
        return f"the device waits for input {self.share:.0%} of the time: {REMEDY}"

    @property
    def share(self) -> float:
        """The share of the stage's time so far, between 0 and 1."""
        return min(1.0, self._waited / self._seconds) if self._seconds > 0 else 0.0

    @property
    def words(self) -> str:
        """The share in a few words, or nothing where it is small."""
        return f"{self.share:.0%} waiting for input" if self.share >= SHARE else ""
