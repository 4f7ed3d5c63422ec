"""Fireworks over HTTP: typed resources, retries and signed storage. Knows nothing of Oumi."""

from oumi_fireworks.api.accounts import ACCOUNT_VARIABLE, Account, Accounts, configured_account
from oumi_fireworks.api.client import KEY_VARIABLE, Connection, FireworksClient, configured_key
from oumi_fireworks.api.consistency import Consistency
from oumi_fireworks.api.datasets import DIRECT_UPLOAD_BYTES, Dataset, Datasets
from oumi_fireworks.api.jobs import Job, Jobs, Phase, Progress, phase_of
from oumi_fireworks.api.models import Model, Models, check_model_name
from oumi_fireworks.api.pages import Page, every
from oumi_fireworks.api.retries import RetryPolicy, is_retryable
from oumi_fireworks.api.root import BASE_URL_VARIABLE, DEFAULT_ROOT, Root, resolve_root
from oumi_fireworks.api.storage import Storage
from oumi_fireworks.api.transport import Transport
from oumi_fireworks.deprecation import errors_once_in

__all__ = [
    "ACCOUNT_VARIABLE",
    "Account",
    "Accounts",
    "BASE_URL_VARIABLE",
    "Connection",
    "Consistency",
    "DEFAULT_ROOT",
    "DIRECT_UPLOAD_BYTES",
    "Dataset",
    "Datasets",
    "FireworksClient",
    "Job",
    "Jobs",
    "KEY_VARIABLE",
    "Model",
    "Models",
    "Page",
    "Phase",
    "Progress",
    "RetryPolicy",
    "Root",
    "Storage",
    "Transport",
    "check_model_name",
    "configured_account",
    "configured_key",
    "every",
    "is_retryable",
    "phase_of",
    "resolve_root",
]

__getattr__ = errors_once_in(
    __name__,
    "APIError AuthenticationError ChecksumError ConfigurationError ConflictError "
    "ConnectionFailedError FireworksError InvalidRequestError MalformedAnswerError "
    "NotFoundError PaymentRequiredError RateLimitError ServerError StorageError "
    "SuspendedError",
)
