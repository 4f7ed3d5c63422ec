"""Conversations from files: found, unpacked, read line by line, checked before they are sent."""

from oumi_fireworks.input.errors import BadLinesError, InputChangedError, InputError, Problem
from oumi_fireworks.input.files import STDIN, InputFile, find_files
from oumi_fireworks.input.lines import read_lines
from oumi_fireworks.input.places import Place

__all__ = [
    "BadLinesError",
    "InputChangedError",
    "InputError",
    "InputFile",
    "Place",
    "Problem",
    "STDIN",
    "find_files",
    "read_lines",
]
