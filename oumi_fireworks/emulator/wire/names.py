"""Resource ids and names, checked before they are used for anything, paths on disk above all."""

from __future__ import annotations

import re

from oumi_fireworks.emulator.wire.errors import ApiError, Code, gateway_error

_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")
_MODEL = re.compile(
    r"accounts/[a-z][a-z0-9-]*/(?:models|deployments|routers)/[A-Za-z0-9][A-Za-z0-9._-]*"
    r"(?:#accounts/[a-z][a-z0-9-]*/deployments/[a-z0-9][a-z0-9-]*)?"
)


def is_id(value: str) -> bool:
    """Return whether this is a well-formed resource id."""
    return _ID.fullmatch(value) is not None


def check_id(value: str, kind: str) -> str:
    """Return `value` if it is a well-formed resource id.

    Raises:
        ApiError: 400, saying what an id looks like.
    """
    if is_id(value):
        return value
    raise gateway_error(
        Code.INVALID_ARGUMENT,
        f"invalid {kind} id {value[:80]!r}: an id has at most 63 lower-case letters, digits and "
        "hyphens, begins with a letter and does not end with a hyphen",
    )


def check_file_name(value: str) -> str:
    """Return `value` if it is a plain file name, safe on any disk.

    Raises:
        ApiError: 400.
    """
    if _FILE.fullmatch(value):
        return value
    raise gateway_error(
        Code.INVALID_ARGUMENT,
        f"invalid file name {value[:80]!r}: use letters, digits, dots, hyphens and underscores",
    )


def is_model(value: str) -> bool:
    """Return whether this is the resource name of a model or a deployment."""
    return _MODEL.fullmatch(value) is not None


def resource_id(name: str, account: str, collection: str) -> str:
    """Return the id at the end of `accounts/<account>/<collection>/<id>`.

    Raises:
        ApiError: 400 if `name` has another form, 403 if it belongs to another account.
    """
    match = re.fullmatch(rf"accounts/([^/]+)/{collection}/([^/]+)", name)
    if match is None:
        raise gateway_error(
            Code.INVALID_ARGUMENT,
            f"invalid resource name {name[:120]!r}: expected accounts/<account>/{collection}/<id>",
        )
    if match[1] != account:
        raise no_access(match[1])
    return check_id(match[2], collection.rstrip("s"))


def no_access(account: str) -> ApiError:
    """Return the refusal for another account's resources."""
    return gateway_error(
        Code.PERMISSION_DENIED, f"caller does not have access to account {account[:80]!r}"
    )
