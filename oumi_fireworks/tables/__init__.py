"""Conversations from files: found, unpacked, read line by line, checked before they are sent."""

from oumi_fireworks.tables.files import STDIN, InputFile, find_files
from oumi_fireworks.tables.lines import read_lines

__all__ = [
    "InputFile",
    "STDIN",
    "find_files",
    "read_lines",
]
