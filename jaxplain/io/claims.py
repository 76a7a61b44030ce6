"""Create a key exclusively and know who did: an answer that was lost on its way is asked for again."""

from jaxplain.io.retries import is_transient, retrying
from jaxplain.io.storage import Storage


def claim(storage: Storage, key: str, content: bytes) -> bool:
    """Create a key unless it exists; of several claimants exactly one gets True.

    A store on the network may create the key and lose its answer, or try again by itself and then find its own key. So
    whoever seems to have failed reads what is there, and has won after all if it is its own.

    Args:
        storage: Where.
        key: The key.
        content: Bytes that nobody else would write: they hold a nonce.

    Raises:
        OSError: It cannot be told, or not be written.
    """

    def attempt() -> bool:
        try:
            return storage.create(key, content) or storage.read(key) == content
        except OSError as error:
            if is_transient(error) and (found := storage.read(key)) is not None:
                return found == content
            raise

    return retrying(attempt, storage.where(key))
