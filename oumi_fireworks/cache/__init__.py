"""Answers that outlive a run: a folder of them, for whichever run asks the same again."""

from oumi_fireworks.cache.answers import AnswerCache
from oumi_fireworks.cache.keys import KEY_BYTES, key_of, key_of_body
from oumi_fireworks.cache.upkeep import CacheStats, clear_cache, stats_of

__all__ = [
    "KEY_BYTES",
    "AnswerCache",
    "CacheStats",
    "clear_cache",
    "key_of",
    "key_of_body",
    "stats_of",
]
