"""How a forked child ends: by itself, or by SIGKILL after a while."""

from __future__ import annotations

import os
import select
import signal


def end_of(child: int, *, killed_after: float | None = None) -> int:
    """Wait for the end of a child of this process, or kill it.

    Args:
        child: Its process id.
        killed_after: Seconds that it has to live; None for as long as it wants.

    Returns:
        Its exit code, or minus the signal that ended it.
    """
    handle = os.pidfd_open(child)
    try:
        has_ended, _, _ = select.select([handle], [], [], killed_after)
        if not has_ended:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
