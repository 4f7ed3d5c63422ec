"""An image of a conversation → the URL that a request carries."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from oumi.core.types.conversation import ContentItem, Type

# The formats that Fireworks reads, by how their files begin:
# https://docs.fireworks.ai/guides/querying-vision-language-models
_FORMATS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"BM"), "image/bmp"),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff"),
    (re.compile(rb"P[36]\s"), "image/x-portable-pixmap"),
)


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
        return item.content or ""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"The image file {path!r} cannot be read: {error.strerror}.") from error
    return _data_url(data, f"The image file {path!r}")


def local_path(item: ContentItem) -> str | None:
    """Where an image must be read from: None unless it is a file whose bytes are not loaded."""
    if item.type is not Type.IMAGE_PATH or item.binary or item.content is None:
        return None
    return re.sub(r"^file://", "", item.content, flags=re.IGNORECASE)


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
        raise ValueError(f"{origin} cannot be understood as an image: {error}.") from error
