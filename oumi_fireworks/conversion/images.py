"""An image of a conversation → the URL that a request carries."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from oumi.core.types.conversation import ContentItem, Type

from oumi_fireworks.grammar import ended, number

_FORMATS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"BM"), "image/bmp"),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff"),
    (re.compile(rb"P[36]\s"), "image/x-portable-pixmap"),
)
"""How files of the formats that Fireworks reads begin, and their media types:
https://docs.fireworks.ai/guides/querying-vision-language-models"""
_MIMES = frozenset(mime for _, mime in _FORMATS) | {"image/jpg"}
_KINDS = "png, jpg, gif, bmp, tiff or ppm"

MOST_IMAGES = 30
"""Images of one request, at the most (same guide)."""

MOST_BASE64_BYTES = 10_000_000
"""Bytes of one request's images in base64, all together, at the most (same guide)."""

_DATA_URL = re.compile(r"data:([\w.+/-]*)((?:;[\w=.-]+)*),", re.IGNORECASE)
_FILE_URL = re.compile(r"file:(?://(?:localhost(?=/))?)?", re.IGNORECASE)


def image_url(item: ContentItem) -> str:
    """Give an image's own URL, or its bytes as a data URL.

    Bytes win where an item has both: they are what the user loaded, and the service may not
    reach the address. A format that Fireworks does not read (WebP, say) is sent as PNG.

    Args:
        item: An image.

    Raises:
        ValueError: The file cannot be read, or is no image.
    """
    if item.binary:
        return _data_url(item.binary, "The bytes of an image")
    path = local_path(item)
    if path is None:
        return _readable(item.content or "")
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"The image file {path!r} cannot be read: {ended(reason)}") from error
    return _data_url(data, f"The image file {path!r}")


def local_path(item: ContentItem) -> str | None:
    """Return where an image must be read from: None unless it is a file that is not loaded.

    A ``file:`` URL is decoded, and ``~`` is the user's home.
    """
    if item.type is not Type.IMAGE_PATH or item.binary or item.content is None:
        return None
    scheme = _FILE_URL.match(item.content)
    if scheme is not None:
        return unquote(item.content[scheme.end() :])
    return os.path.expanduser(item.content)


def image_fault(item: ContentItem, *, with_files: bool) -> str | None:
    """Return what makes a part of a message impossible to send, or None.

    Args:
        item: The part; a text passes.
        with_files: Whether to look for an image file.
    """
    path = local_path(item)
    if path is not None:
        return f"there is no image file {path!r}" if with_files and not _is_file(path) else None
    if item.type is Type.IMAGE_URL and not item.binary:
        return _address_fault(item.content or "")
    return None


def check_images(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a request whose images are more than Fireworks takes.

    Args:
        messages: The message objects of the request.

    Raises:
        ValueError: They are too many, or too large.
    """
    urls = [
        part["image_url"]["url"]
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image_url"
    ]
    if not urls:
        return
    if len(urls) > MOST_IMAGES:
        raise ValueError(
            f"it has {number(len(urls), 'image')}, and Fireworks takes {MOST_IMAGES} a request"
        )
    size = sum(len(url) for url in urls if url.startswith("data:"))
    if size > MOST_BASE64_BYTES:
        raise ValueError(
            f"its images are {size / 1e6:.1f} MB in base64, and Fireworks takes "
            f"{MOST_BASE64_BYTES / 1e6:.0f} MB a request: make them smaller, or give addresses"
        )


def _address_fault(address: str) -> str | None:
    """Return why Fireworks cannot fetch an image from an address, or None."""
    if _DATA_URL.match(address):
        return None  # read when the request is made
    try:
        parts = urlsplit(address)
    except ValueError:
        return f"{_short(address)} is no address of an image"
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return (
            f"Fireworks fetches images from http and https addresses, not from {_short(address)}; "
            "for a file, use type image_path"
        )
    if parts.path.lower().endswith((".svg", ".svgz")):
        return f"Fireworks reads no SVG: {_short(address)} should be {_KINDS}"
    return None


def _readable(address: str) -> str:
    """Return an address as it is; the data in it as PNG, if Fireworks does not read them.

    Raises:
        ValueError: The data are no image.
    """
    match = _DATA_URL.match(address)
    if match is None or match[1].lower() in _MIMES:
        return address
    text = address[match.end() :]
    try:
        is_base64 = ";base64" in match[2].lower()
        data = base64.b64decode(text, validate=True) if is_base64 else unquote(text).encode()
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{_short(address)} is not base64: {error}") from error
    return _data_url(data, f"The image in {_short(address)}")


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:  # a NUL in it
        return False


def _short(address: str) -> str:
    return repr(address if len(address) <= 80 else f"{address[:60]}…")


def _data_url(data: bytes, origin: str) -> str:
    mime = next((mime for start, mime in _FORMATS if start.match(data)), None)
    if mime is None:
        data, mime = _as_png(data, origin), "image/png"
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _as_png(data: bytes, origin: str) -> bytes:
    # Loads Pillow, which only these images need.
    from oumi.utils.image_utils import create_png_bytes_from_image_bytes

    try:
        return create_png_bytes_from_image_bytes(data)
    except (ValueError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{origin} cannot be understood as an image. Fireworks reads {_KINDS}."
        ) from error
