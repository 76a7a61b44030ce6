"""Object stores, s3 and gs: where they are, who asks, and how long one waits; plain values, for TensorStore.

S3 is found by the variables that other tools read: ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` (of a server that is
not Amazon's), ``AWS_REGION`` or ``AWS_DEFAULT_REGION``. Credentials come from ``AWS_ACCESS_KEY_ID`` and
``AWS_SECRET_ACCESS_KEY`` (with ``AWS_SESSION_TOKEN``), from a profile (``AWS_PROFILE``, ``~/.aws``), or from the
role of the machine; ``AWS_NO_SIGN_REQUEST=YES`` asks as nobody, for public buckets. Google's come from
``GOOGLE_APPLICATION_CREDENTIALS``, from ``gcloud auth application-default login``, or from the account of the machine.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxplain._errors import InputError

DRIVERS = {"s3": "s3", "gs": "gcs"}
_ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_VENDOR, _PRODUCT = Path("/sys/class/dmi/id/sys_vendor"), Path("/sys/class/dmi/id/product_name")


@dataclass(frozen=True)
class Patience:
    """How long an object store is waited for: of its own, TensorStore tries 32 times with pauses of up to 32 s.

    Args:
        retries: Requests after the first that fails, each after a pause twice as long.
        first_pause: Seconds before the first of them.
        longest_pause: Seconds that no pause exceeds.
        deadline: Seconds after which a read or a write, with all its requests, is given up.
    """

    retries: int = 8
    first_pause: float = 0.2
    longest_pause: float = 8.0
    deadline: float = 180.0

    def resource(self) -> dict[str, Any]:
        """Return the retries of one request as TensorStore takes them."""
        pauses = {"initial_delay": self.first_pause, "max_delay": self.longest_pause}
        return {"max_retries": self.retries, **{name: f"{round(1000 * s)}ms" for name, s in pauses.items()}}


def remote_spec(scheme: str, bucket: str, path: str, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return TensorStore's description of a place in an object store.

    Args:
        scheme: "s3" or "gs".
        bucket: The bucket.
        path: Prefix of all keys, with a slash at its end, or empty.
        environ: The environment.

    Raises:
        InputError: No bucket is named.

    Example:
        >>> remote_spec("s3", "maps", "run/", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000/"})["endpoint"]
        'http://127.0.0.1:9000'
    """
    if not bucket:
        raise InputError(f"storage: {scheme}://{path} names no bucket; write {scheme}://BUCKET/PATH.")
    spec: dict[str, Any] = {"driver": DRIVERS[scheme], "bucket": bucket, "path": path}
    if scheme == "gs":
        return spec
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ("us-east-1" if endpoint else None)
    # Exclusive creation must be one request that the server decides; TensorStore supposes so of Amazon's servers alone.
    spec["use_conditional_write"] = True
    if endpoint:
        spec["endpoint"] = endpoint.rstrip("/")
    if region:
        spec["aws_region"] = region
    return spec


def remote_context(scheme: str, patience: Patience, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return TensorStore's resources for an object store: retries and, for s3, who asks.

    Args:
        scheme: "s3" or "gs".
        patience: How long to wait.
        environ: The environment.

    Raises:
        InputError: There are no credentials; the variables are named. Nothing is asked of the network.
    """
    if scheme == "s3":
        return {"s3_request_retries": patience.resource(), "aws_credentials": _s3_credentials(environ)}
    _check_google(environ)
    return {"gcs_request_retries": patience.resource()}


def _s3_credentials(environ: Mapping[str, str]) -> dict[str, Any]:
    given = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if environ.get(name)]
    if len(given) == 1:
        raise InputError(
            f"storage: s3:// finds {given[0]} alone; set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if given:
        return {"type": "environment"}
    if environ.get("AWS_NO_SIGN_REQUEST", "").lower() in ("yes", "true", "1"):
        return {"type": "anonymous"}
    profile = environ.get("AWS_PROFILE")
    variables = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
    files = [Path(environ.get(name) or default).expanduser() for name, default in variables.items()]
    if any(file.is_file() for file in files):
        return {"type": "default", **({"profile": profile} if profile else {})}
    if profile:
        raise InputError(
            f"storage: AWS_PROFILE is {profile!r}, but there is neither {files[0]} nor {files[1]}; write one, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if any(environ.get(name) for name in _ROLES) or _says(_VENDOR, "Amazon"):
        return {"type": "default"}
    raise InputError(
        "storage: s3:// finds no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with "
        f"{files[0]}; for a public bucket set AWS_NO_SIGN_REQUEST=YES."
    )


def _check_google(environ: Mapping[str, str]) -> None:
    key = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if key and not Path(key).is_file():
        raise InputError(f"storage: GOOGLE_APPLICATION_CREDENTIALS names {key}, which is no file; mend the variable.")
    login = (
        Path(environ.get("CLOUDSDK_CONFIG") or "~/.config/gcloud").expanduser() / "application_default_credentials.json"
    )
    # A server for tests, named by TensorStore's own variable, wants none.
    if key or login.is_file() or environ.get("TENSORSTORE_GCS_HTTP_URL") or _says(_PRODUCT, "Google"):
        return
    raise InputError(
        "storage: gs:// finds no credentials; set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run "
        "`gcloud auth application-default login`."
    )


def _says(file: Path, word: str) -> bool:
    """Whether the firmware names a maker, as in the machines of Amazon and Google, which have accounts of their own."""
    try:
        return word in file.read_text()
    except OSError:
        return False
