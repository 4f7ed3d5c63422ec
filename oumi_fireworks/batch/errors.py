"""What can go wrong with a batch, below the same root as the errors of the API.

::

    FireworksError
    └── BatchError
        ├── NoRowsError (also ValueError)  there is nothing to run
        ├── RowError (also ValueError)     an input row that cannot be sent; has ``index``
        ├── SpoolError                     no room or no access on the local disk
        ├── RunLockedError                 another process is at work on the same run
        ├── RunMismatchError               the manifest belongs to other input or parameters
        ├── ManifestError                  the manifest cannot be read
        ├── NotFinishedError               results were asked for before the batch ended
        ├── WaitTimeoutError (also TimeoutError)  the batch did not end in the given time
        └── IncompleteBatchError           the batch ended with rows unanswered; has ``partial``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oumi_fireworks.api.errors import FireworksError


class BatchError(FireworksError):
    """The root of this branch."""


class NoRowsError(BatchError, ValueError):
    """There is nothing to run."""


class RowError(BatchError, ValueError):
    """An input row cannot be sent. Raised before anything is uploaded.

    Attributes:
        index: The row's position in the input, zero-based.
    """

    def __init__(self, message: str, index: int = -1) -> None:
        super().__init__(message)
        self.index = index


class SpoolError(BatchError):
    """The local disk has no room for the batch's files, or does not let us write them."""


class RunLockedError(BatchError):
    """Another process is at work on the same run."""


class RunMismatchError(BatchError):
    """A run was begun here with other input, another model or other parameters."""


class ManifestError(BatchError):
    """A run's manifest cannot be read."""


class NotFinishedError(BatchError):
    """Results were asked for while the batch is still at work."""


class WaitTimeoutError(BatchError, TimeoutError):
    """The batch did not end within the time that the caller gave. It goes on."""


class IncompleteBatchError(BatchError):
    """The batch ended, and rows are without an answer.

    Attributes:
        partial: What there is: an ``oumi.core.inference.BatchResult`` when raised by the engine.
        counts: Rows by outcome: ``answered``, ``failed``, ``missing``.
        messages: The first few messages of the service, one for each kind of failure.
    """

    def __init__(
        self,
        message: str,
        partial: Any = None,
        counts: Mapping[str, int] | None = None,
        messages: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.partial = partial
        self.counts = dict(counts or {})
        self.messages = list(messages)
