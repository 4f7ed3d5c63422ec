"""The Fireworks AI engine for Oumi.

``from oumi_fireworks import FireworksInferenceEngine`` gives the engine, and every error that it
raises on purpose is here too (their tree: :mod:`oumi_fireworks.errors`). Importing this package
alone loads neither oumi nor aiohttp: the public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oumi_fireworks.cli.batch.run_table import TableRun, run_table
    from oumi_fireworks.engine import FireworksInferenceEngine
    from oumi_fireworks.engine.failures import RejectedAnswer
    from oumi_fireworks.errors import (
        AnswerCacheError,
        AnswerRejectedError,
        APIError,
        AuthenticationError,
        BadLinesError,
        BatchError,
        ChecksumError,
        ConfigurationError,
        ConflictError,
        ConnectionFailedError,
        ConversionError,
        FireworksError,
        ForeignFolderError,
        IncompleteBatchError,
        InputChangedError,
        InputError,
        InvalidRequestError,
        KeyTakenError,
        MalformedAnswerError,
        ManifestError,
        NoRowsError,
        NotFinishedError,
        NotFoundError,
        OptionError,
        OverBudgetError,
        PairingError,
        PartlySubmittedError,
        PaymentRequiredError,
        RateLimitError,
        ResultsLateError,
        RouteError,
        RowError,
        RunLockedError,
        RunMismatchError,
        ServerError,
        SpoolError,
        StorageError,
        SuspendedError,
        UnreachableError,
        WaitTimeoutError,
        WriteError,
    )
    from oumi_fireworks.params import FireworksParams

__all__ = [
    "FireworksInferenceEngine",
    "FireworksParams",
    "RejectedAnswer",
    "TableRun",
    "run_table",
    "AnswerCacheError",
    "AnswerRejectedError",
    "APIError",
    "AuthenticationError",
    "BadLinesError",
    "BatchError",
    "ChecksumError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ConversionError",
    "FireworksError",
    "ForeignFolderError",
    "IncompleteBatchError",
    "InputChangedError",
    "InputError",
    "InvalidRequestError",
    "KeyTakenError",
    "MalformedAnswerError",
    "ManifestError",
    "NoRowsError",
    "NotFinishedError",
    "NotFoundError",
    "OptionError",
    "OverBudgetError",
    "PairingError",
    "PartlySubmittedError",
    "PaymentRequiredError",
    "RateLimitError",
    "ResultsLateError",
    "RouteError",
    "RowError",
    "RunLockedError",
    "RunMismatchError",
    "ServerError",
    "SpoolError",
    "StorageError",
    "SuspendedError",
    "UnreachableError",
    "WaitTimeoutError",
    "WriteError",
    "__version__",
]

__version__ = "0.1.0"

_HOME_OF = {
    "FireworksInferenceEngine": "oumi_fireworks.engine",
    "FireworksParams": "oumi_fireworks.params",
    "RejectedAnswer": "oumi_fireworks.engine.failures",
    "TableRun": "oumi_fireworks.cli.batch.run_table",
    "run_table": "oumi_fireworks.cli.batch.run_table",
}
_HOME_OF_ERRORS = "oumi_fireworks.errors"


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME_OF.get(name, _HOME_OF_ERRORS)), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
