"""What to do about each error: the page on errors shows it below the cause."""

from __future__ import annotations

CURES = {
    "FireworksError": "Catch it to catch everything below.",
    "ConfigurationError": "The message names the setting and the values that can work. "
    "`oumi-fireworks doctor` looks at key, account and URL.",
    "OptionError": "The message names the nearest option, or what the option takes. "
    "[All options](options.md).",
    "ConnectionFailedError": "Run the same command again: what was done is found, and nothing is "
    "paid twice. If it stays, look at the proxy (`HTTPS_PROXY`).",
    "UnreachableError": "Check `FIREWORKS_BASE_URL` and `remote_params.api_url`, the network and "
    "the proxy. `oumi-fireworks doctor` says where the URL comes from.",
    "MalformedAnswerError": "It was asked for again as often as is sensible. Run the same command "
    "once more; if it stays, something between you and Fireworks changes answers.",
    "ConversionError": "The row has failed. Run it again, with `batch retry` or the same `oumi "
    "infer`; with a model that answers with something else than text or tool calls it stays.",
    "ChecksumError": "The same command downloads the file again.",
    "StorageError": "The same command goes on where it was. A proxy that adds headers can be the "
    "reason: signed URLs bear no other ones.",
    "APIError": "The message has the service's own words, and its status.",
    "InvalidRequestError": "Change what the message names: a parameter, the model, the input. "
    "A row that was refused is not sent again unless `resend_refused` is set.",
    "AuthenticationError": "Look at `FIREWORKS_API_KEY` and `FIREWORKS_ACCOUNT_ID`. "
    "`oumi-fireworks doctor` says what the key may use.",
    "PaymentRequiredError": "Add credit in the account's billing settings. Then the same command "
    "goes on.",
    "NotFoundError": "Check the id, or the model's name: `oumi-fireworks batch list`, "
    "`oumi-fireworks models`. A deployment may be scaled to zero or gone.",
    "RouteError": "The URL leads to something that is not Fireworks, or to an older version of "
    "it. Check `FIREWORKS_BASE_URL`.",
    "ConflictError": "Something else has this id. The message names it; remove that, or use "
    "another id or key.",
    "SuspendedError": "The account's page on Fireworks says why. Afterwards the same command goes "
    "on.",
    "RateLimitError": "Nothing got through for `refusal_timeout` seconds. Run the same command "
    "later: answered rows are kept. A batch has no such limit.",
    "ServerError": "Run the same command again; what was answered is kept.",
    "WriteError": "Make room, or give access, or name another file. Nothing that was paid for is "
    "lost: the message says where it is.",
    "InputError": "The message names the file, and the line where there is one.",
    "InputChangedError": "Bring the input back as it was, or remove the run's folder that the "
    "message names to begin anew.",
    "BadLinesError": "Correct the lines that are named, or leave them out with `--skip-bad`.",
    "BatchError": "The message says what the batch came to. `oumi-fireworks batch status ID`.",
    "NoRowsError": "The input has no rows, or all of them are answered.",
    "RowError": "Correct the row that is named. Nothing was uploaded.",
    "SpoolError": "Make room on the disk, or let `run_dir` name a folder on another one.",
    "ForeignFolderError": "Move that folder away, or let `run_dir` name another place.",
    "RunLockedError": "Another process is at work on this run: let it finish, or end it, and run "
    "the command again.",
    "RunMismatchError": "Finish the run as it was begun, then run the new one; or remove the "
    "folder that the message names, and pay for its rows anew.",
    "KeyTakenError": "Use another key for other rows: a date or a version in it helps. "
    "[One key, one batch](../once.md).",
    "ManifestError": "The file is damaged, or a later version has written it. The jobs go on: "
    "`oumi-fireworks batch list` shows them, `batch results ID` fetches them.",
    "PartlySubmittedError": "The message has the ids of the jobs that were kept: fetch them with "
    "`oumi-fireworks batch results`, or cancel them.",
    "NotFinishedError": "Wait: `oumi-fireworks batch status ID --watch`, or `wait_for_batch`.",
    "PairingError": "Name what was submitted, all of it, in the same order. The message names the "
    "first row that differs.",
    "ResultsLateError": "Run the same command again later: nothing is paid twice.",
    "WaitTimeoutError": "The batch goes on. Call again, or raise `batch_timeout`.",
    "AnswerCacheError": "Name another folder with `cache`, or leave the option out. "
    "`oumi-fireworks cache clear` empties one.",
    "OverBudgetError": "Raise `max_cost`, and give the same command: what is answered is kept, and "
    "the error's `partial` has it.",
    "AnswerRejectedError": "The best of them are kept beside the failure. Raise `row_retries`, let "
    "`on_reject` ask with other parameters, or loosen `accept`.",
    "IncompleteBatchError": "The answered rows are in the error's `partial`. `retry_batch` or "
    "`oumi-fireworks batch retry` runs the others again.",
}
"""By the name of the error."""
