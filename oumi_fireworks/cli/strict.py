"""Commands that take an option once, unless it may be repeated."""

from __future__ import annotations

from collections import Counter

from click import Context, Option, UsageError
from typer.core import TyperCommand


class StrictCommand(TyperCommand):
    """A command that refuses an option with two values, of which one would be lost in silence."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read arguments.

        Raises:
            UsageError: If an option that has one value is given several.
        """
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        for parameter, times in Counter(order).items():
            if times > 1 and isinstance(parameter, Option) and _has_one_value(parameter):
                raise UsageError(
                    f"{max(parameter.opts, key=len)} is given {times} times, and takes one value. "
                    "Leave out all but one.",
                    ctx,
                )
        return super().parse_args(ctx, args)


def _has_one_value(option: Option) -> bool:
    return not (option.multiple or option.is_flag or option.count)
