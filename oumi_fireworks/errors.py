"""Every error that this package raises on purpose, as one tree.

::

    FireworksError (RuntimeError)
    ├── ConfigurationError (also ValueError)   a setting that cannot work; nothing was sent
    │   ├── AnswerCacheError                   the folder of the answer cache cannot be used
    │   └── OptionError                        an unknown option, or a value it cannot have
    ├── ConnectionFailedError                  no answer: refused, reset, timed out
    │   └── UnreachableError                   nothing listens there, or the name is unknown
    ├── MalformedAnswerError                   an answer that is not what the protocol says
    │   └── ConversionError (also ValueError)  a completion that cannot become a conversation
    ├── AnswerRejectedError                    answers that do not hold (the option accept)
    ├── ChecksumError                          a download that is not what storage holds
    ├── StorageError                           signed storage refused; has ``status``
    ├── APIError                               Fireworks refused; has ``status`` and ``code``
    │   ├── InvalidRequestError     400, 413, 422
    │   ├── AuthenticationError     401, 403
    │   ├── PaymentRequiredError    402
    │   ├── NotFoundError           404 that names something absent (gRPC code 5)
    │   ├── RouteError              404 of any other kind, 405, 501
    │   ├── ConflictError           409
    │   ├── SuspendedError          412
    │   ├── RateLimitError          429
    │   └── ServerError             408, 425, 5xx
    ├── WriteError                             a local file that cannot be written
    ├── InputError (also ValueError)           an input that cannot be read, or is not there
    │   ├── BadLinesError                      lines that cannot be sent; has ``problems``
    │   └── InputChangedError                  not what it was when it was first read
    ├── OverBudgetError                        max_cost does not allow what was to be run
    └── BatchError                             a batch that cannot go on
        ├── NoRowsError (also ValueError)      there is nothing to run
        ├── RowError (also ValueError)         an input row that cannot be sent; has ``index``
        ├── SpoolError (also WriteError)       a file of the run that cannot be written
        │   └── ForeignFolderError             the run's folder is somebody else's
        ├── RunLockedError                     another process is at work on the same run
        ├── RunMismatchError                   it was begun with other input or parameters
        │   └── KeyTakenError                  the key stands for other rows or parameters
        ├── ManifestError                      the manifest cannot be read
        ├── PartlySubmittedError               it failed while jobs had begun; has ``job_ids``
        ├── NotFinishedError                   results were asked for before the batch ended
        ├── PairingError (also ValueError)      results of other prompts; has ``row``
        ├── ResultsLateError                   answers that were counted cannot be fetched yet
        ├── WaitTimeoutError (also TimeoutError)  the batch did not end in the given time
        └── IncompleteBatchError               rows are unanswered; has ``partial``

Every class pickles, so that errors cross process borders, and none ever holds a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from oumi_fireworks.grammar import number
from oumi_fireworks.safe_text import safe


class FireworksError(RuntimeError):
    """The root of the tree. A ``RuntimeError``, because that is what Oumi's callers catch.

    Its text holds nothing unseen and no secret, whatever the service has put into it.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(safe(each) if isinstance(each, str) else each for each in args))


class ConfigurationError(FireworksError, ValueError):
    """A key, an account, a URL or a name that cannot work. Raised before anything is sent."""


class AnswerCacheError(ConfigurationError):
    """The folder of the answer cache cannot be used. Raised before anything is sent."""


class OptionError(ConfigurationError):
    """An option that does not exist, or a value that it cannot have."""


class ConnectionFailedError(FireworksError):
    """No complete answer came: the connection was refused, reset or timed out."""


class UnreachableError(ConnectionFailedError):
    """Nothing listens at the address, or its name is unknown, and nothing has answered before."""


class MalformedAnswerError(FireworksError):
    """An answer arrived that is not what the protocol says, such as half a JSON object."""


class ConversionError(MalformedAnswerError, ValueError):
    """A completion that cannot be read as a conversation."""


class AnswerRejectedError(FireworksError):
    """Rows have answers that do not hold, by the option ``accept``."""


class ChecksumError(FireworksError):
    """A downloaded file differs from the checksum that storage sent with it."""


class StorageError(FireworksError):
    """Signed storage refused an upload or a download.

    Attributes:
        status: HTTP status, 0 when unknown.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class APIError(FireworksError):
    """Fireworks answered with an error.

    Attributes:
        status: HTTP status, 0 when unknown.
        code: The service's own code: a gRPC number or a name such as ``UNAUTHORIZED``.
        retry_after: Seconds that the service asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: int | str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after

    @property
    def status_code(self) -> int:
        """``status`` under the name that Oumi looks for."""
        return self.status


class InvalidRequestError(APIError):
    """400, 413 or 422: the request is wrong and will be wrong again."""


class AuthenticationError(APIError):
    """401 or 403: the key is wrong, or may not do this."""


class PaymentRequiredError(APIError):
    """402: the account has no means of payment, or has run out of it."""


class NotFoundError(APIError):
    """404 in the service's own words: what was asked for does not exist.

    On the control plane that is gRPC's code 5, on the inference plane an error object.
    """


class RouteError(APIError):
    """A 404 that is not the service's own, a 405 or a 501: nobody looked for what was asked for.

    A proxy, a load balancer or a gateway in the middle of an update answers like this, and so
    does a service that lacks the route. It says nothing about whether the resource exists.
    """


class ConflictError(APIError):
    """409: a resource with this id exists already."""


class SuspendedError(APIError):
    """412: the account is suspended."""


class RateLimitError(APIError):
    """429: too many requests for now."""


class ServerError(APIError):
    """408, 425 (weights are being swapped) or 5xx: the service could not answer this time."""


class Place(NamedTuple):
    """A row of an input, for people.

    Attributes:
        file: Its file, as the user named it.
        number: Its number, from 1.
        unit: What is counted: lines, or the rows of a table.
    """

    file: str
    number: int
    unit: Literal["line", "row"] = "line"

    def __str__(self) -> str:
        separator = ":" if self.unit == "line" else ", row "
        return f"{self.file}{separator}{self.number}"


MOST_NAMED = 20
"""Problems that are named; with so many, the mistake is in how the file was made."""


class Problem(NamedTuple):
    """A line that cannot be sent.

    Attributes:
        place: Where it is.
        message: Why not.
        conversation_id: Its conversation's, where that can be read.
    """

    place: Place
    message: str
    conversation_id: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class WriteError(FireworksError):
    """A local file cannot be written: there is no room, or no access."""


class InputError(FireworksError, ValueError):
    """An input cannot be read."""


class InputChangedError(InputError):
    """An input is not what it was when it was first read."""


class BadLinesError(InputError):
    """Lines of an input cannot be sent.

    Attributes:
        problems: The first of them, :data:`MOST_NAMED` at the most.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        count = len(problems)
        more = count >= MOST_NAMED
        unit = problems[0].place.unit if problems else "line"
        head = f"{number(count, unit)}{', and maybe more,' if more else ''} cannot be sent:"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in problems)]))

    def __reduce__(self) -> tuple[type[BadLinesError], tuple[list[Problem]]]:
        return type(self), (self.problems,)


class OverBudgetError(FireworksError):
    """The option ``max_cost`` does not allow what was to be run. What was spent stays within it.

    Attributes:
        partial: What there is: an ``oumi.core.inference.BatchResult`` when raised by ``infer``.
    """

    def __init__(self, message: str, partial: Any = None) -> None:
        super().__init__(message)
        self.partial = partial


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


class SpoolError(BatchError, WriteError):
    """The local disk has no room for the batch's files, or does not let us write them."""


class ForeignFolderError(SpoolError):
    """A folder of the user's own stands where the batch's files were to go."""


class RunLockedError(BatchError):
    """Another process is at work on the same run."""


class RunMismatchError(BatchError):
    """What this goes on with was begun with other input, another model or other parameters."""


class KeyTakenError(RunMismatchError):
    """A key was used before, for other rows or other parameters. Nothing was submitted."""


class ManifestError(BatchError):
    """A run's manifest cannot be read."""


class PartlySubmittedError(BatchError):
    """A batch could not be submitted as a whole, and jobs of it had begun: those are kept.

    Attributes:
        job_ids: The jobs that are kept.
    """

    def __init__(self, message: str, job_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.job_ids = tuple(job_ids)


class NotFinishedError(BatchError):
    """Results were asked for while the batch is still at work."""


class PairingError(BatchError, ValueError):
    """Results were asked for beside prompts that are not those that were sent.

    Attributes:
        row: The first row that differs, zero-based; -1 where that is not known.
    """

    def __init__(self, message: str, row: int = -1) -> None:
        super().__init__(message)
        self.row = row


class ResultsLateError(BatchError):
    """Answers that Fireworks has counted, and that are paid for, cannot be fetched yet."""


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
