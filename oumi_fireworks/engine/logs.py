"""Our log lines where Oumi's users see Oumi's."""

from __future__ import annotations

import logging

from oumi.utils.logging import logger as oumi_logger


def join_oumi_logging() -> None:
    """Let this package's loggers write where Oumi's does, unless somebody has set them up."""
    ours = logging.getLogger("oumi_fireworks")
    if ours.hasHandlers():
        return
    for handler in oumi_logger.handlers:
        ours.addHandler(handler)
    ours.setLevel(oumi_logger.level)
