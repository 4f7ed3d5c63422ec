"""Loggers whose lines hold nothing unseen and no secret, whoever's handler writes them."""

from __future__ import annotations

import logging

from oumi_fireworks.safe_text import safe


def logger_for(name: str) -> logging.Logger:
    """Return a module's logger.

    Args:
        name: The module's ``__name__``.
    """
    logger = logging.getLogger(name)
    if _make_safe not in logger.filters:
        logger.addFilter(_make_safe)
    return logger


def _make_safe(record: logging.LogRecord) -> bool:
    record.msg, record.args = safe(record.getMessage()), ()
    return True
