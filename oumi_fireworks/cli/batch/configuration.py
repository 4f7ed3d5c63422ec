"""What Oumi's inference configuration comes to for a batch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from oumi.core.types.conversation import Conversation

from oumi_fireworks.accept.answer_rules import AnswerRules
from oumi_fireworks.accept.row_tools import RowTools
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.api import Connection
from oumi_fireworks.batch import JobSpec, OnOutcome, Request, RunOptions
from oumi_fireworks.cli.batch.open_rows import EarlierAnswers
from oumi_fireworks.cli.batch.options import expanded_name
from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.cli.terminal import say
from oumi_fireworks.conversion import (
    SUPPORTED_PARAMS,
    Prompt,
    RequestTemplate,
    tool_bodies,
)
from oumi_fireworks.engine.answer_check import answer_check, request_body
from oumi_fireworks.engine.config_fields import (
    GenerationParams,
    InferenceEngineType,
    RemoteParams,
)
from oumi_fireworks.engine.config_reader import read_config
from oumi_fireworks.engine.run_folder import key_of
from oumi_fireworks.engine.wiring import (
    answer_prices,
    answer_rules,
    connection,
    job_spec,
    read_options,
    request_template,
    run_events,
    run_options,
)
from oumi_fireworks.errors import Problem
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.money import AnswerPrices, Prices
from oumi_fireworks.params import FireworksParams

_ENGINE = InferenceEngineType.FIREWORKS


Mode = Literal["online", "batch"]
"""How rows are run."""


@dataclass(frozen=True)
class BatchSettings:
    """All that a configuration says about a batch.

    Attributes:
        template: Makes the requests.
        spec: What the jobs have in common.
        options: How a run behaves.
        run_dir: Where runs keep their files; None is beside the output.
        input_path: The configuration's own.
        output_path: The configuration's own.
        ignored: Generation parameters that are set and do not reach Fireworks, with their values.
        remote: Where and with which key.
        fireworks: The engine's options.
        rules: What the answers have to be; None where every answer is taken.
        row_tools: The tools of the rows that were prepared, where the rules need them.
        earlier: The rows that were rejected before, and are asked for with other parameters.
    """

    template: RequestTemplate
    spec: JobSpec
    options: RunOptions
    run_dir: Path | None
    input_path: str | None
    output_path: str | None
    ignored: tuple[tuple[str, object], ...]
    remote: RemoteParams
    fireworks: FireworksParams
    rules: AnswerRules | None
    row_tools: RowTools = field(default_factory=RowTools)
    earlier: EarlierAnswers | None = None

    def prepare(self, prompt: Prompt, index: int, own: Mapping[str, Any] | None = None) -> Request:
        """Make the row of a prompt.

        Args:
            prompt: What is asked.
            index: Its position among the rows.
            own: Request fields of this row alone.

        Raises:
            ValueError: If Fireworks would refuse it.
        """
        prompt.check()
        body = request_body(self.template, self.rules, prompt, own)
        if self.rules is not None and self.rules.acceptance.needs_tools:
            self.row_tools.note(index, body.get("tools") or [])
        if self.earlier is not None:
            known = self.earlier.of(str(prompt.conversation_id), index)
            body = body if known is None else self._again(body, known)
        return Request(index, body, prompt.digest())

    def require_sendable(self, prompt: Prompt, index: int, own: Mapping[str, Any]) -> None:
        """Refuse what :meth:`prepare` refuses; the row is not one of those to be sent.

        Raises:
            ValueError: If Fireworks would refuse it.
        """
        prompt.check()
        request_body(self.template, self.rules, prompt, own)

    def _again(self, body: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """Return the next request of a row that was rejected: its line among the errors."""
        again = None if self.rules is None else self.rules.again
        assert again is not None  # else it is not run
        error = known["error"]
        answer = {"choices": [{"message": known["answer"]}]}
        rejection = Rejection(error["kind"], error["message"], 0)
        return again.request(body, answer, rejection, known["rejected"]) or body

    def after(self, earlier: EarlierAnswers | None) -> BatchSettings:
        """Return them for a run of rows of which some were rejected before; None for none.

        Those have no further attempt in that run, whose count of them would be wrong.
        """
        if earlier is None:
            return self
        return replace(self, earlier=earlier, options=replace(self.options, again=None))

    @property
    def asked(self) -> str:
        """Name what rows are asked for with: differs where the model or a parameter does."""
        return key_of([self.spec.model, self.spec.precision, self.template.shared_fields])

    def times_left(self, rejected: int) -> int:
        """Return how often a row may be asked for again that was rejected so often."""
        again = None if self.rules is None else self.rules.again
        return 0 if again is None else again.most + 1 - rejected

    @property
    def keeps_rejected(self) -> bool:
        """Whether rejected answers go into the output, marked."""
        return self.rules is not None and self.rules.keeps_rejected

    def note_tools(self, rows: Iterable[Conversation | Problem]) -> None:
        """Take note of the tools of rows that were sent before, if the rules need them."""
        if self.rules is None or not self.rules.acceptance.needs_tools:
            return
        sent = (row for row in rows if not isinstance(row, Problem))
        for index, conversation in enumerate(sent):
            self.row_tools.note(index, tool_bodies(conversation.tools or []))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a folder for what nobody needs afterwards, where runs keep their files."""
        if self.run_dir is not None:
            self.run_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="oumi-fireworks-", dir=self.run_dir) as folder:
            yield Path(folder)

    def check(self) -> OnOutcome:
        """Return what judges the answers."""
        return answer_check(self.rules, self.row_tools)

    def without_key(self) -> BatchSettings:
        """Return them for other rows than those that the option ``key`` stands for."""
        return replace(self, options=replace(self.options, key=None))

    def events(
        self,
        output: Path | str,
        journal: str | None,
        urls: Sequence[str] | None,
        mode: Mode = "batch",
    ) -> RunEvents:
        """Return what tells of a run.

        Args:
            output: Where the answers go.
            journal: Another file for events than the configuration's own.
            urls: Other notifications than the configuration's own.
            mode: How the rows are run.
        """
        options = replace(
            self.fireworks,
            events=journal or self.fireworks.events,
            notify=urls or self.fireworks.notify,
        )
        return run_events(
            options,
            self.spec.model,
            mode=mode,
            fields=self.template.shared_fields,
            output=str(output),
        )

    def warn(self) -> None:
        """Say which settings come to nothing."""
        for name, value in self.ignored:
            say(f"generation.{name}={value} is left out: Fireworks has nothing like it.", "yellow")
        for warning in self.warnings:
            say(warning, "yellow")

    @property
    def warnings(self) -> list[str]:
        """What the user should know of the options, each a sentence."""
        again = None if self.rules is None else self.rules.again
        return [*self.fireworks.warnings, *([] if again is None else again.warnings)]

    def prices(self, mode: Mode = "batch") -> Prices | None:
        """Return what the model's tokens cost; None where no price is known.

        Args:
            mode: How the rows are run: a batch is half the price.
        """
        return self.answer_prices(mode).usual

    def answer_prices(self, mode: Mode = "batch") -> AnswerPrices:
        """Return what the answers cost.

        Args:
            mode: How the rows are run.
        """
        return answer_prices(
            self.fireworks,
            self.spec.model,
            self.template.shared_fields,
            is_batch=mode == "batch",
        )

    def metadata_prices(self, mode: Mode = "batch") -> AnswerPrices | None:
        """Return what is written into the metadata of answers; None where it is not asked for."""
        return self.answer_prices(mode) if self.fireworks.cost_in_metadata else None

    def connection(self) -> Connection:
        """Return how to reach the account.

        Raises:
            ConfigurationError: If there is no key, or the URL may not carry one.
        """
        return connection(self.remote, self.fireworks)


def load_settings(name: str, overrides: Sequence[str], **options: object) -> BatchSettings:
    """Read a configuration as ``oumi infer`` does, and work out what it means for a batch.

    Args:
        name: A YAML file, or one of Oumi's names for its own (``oumi://...`` too).
        overrides: ``key=value``; they win.
        **options: The engine's options that the command line sets; they win, but for None.

    Raises:
        WrongUseError: If it is for another engine.
        ConfigurationError: If it cannot be read, or has a setting that cannot work.
    """
    config = read_config(name, overrides)
    if config.engine is not None and config.engine is not _ENGINE:
        raise WrongUseError(
            f"The configuration is for engine: {config.engine.name}. Batches run on Fireworks: set "
            f"engine: {_ENGINE.name}, or add --engine {_ENGINE.name}."
        )
    given = {name: value for name, value in options.items() if value is not None}
    params = read_options(config.model.model_kwargs, **given)
    generation, default = config.generation, GenerationParams()
    remote = config.remote_params or RemoteParams()
    try:
        template = request_template(generation, remote, params)
    except ValueError as error:
        raise WrongUseError(str(error)) from error
    rules = answer_rules(params, template)
    return BatchSettings(
        template=template,
        spec=job_spec(config.model.model_name, params),
        options=run_options(params, rules, config.model.model_name),
        run_dir=_path(params.run_dir),
        input_path=config.input_path,
        output_path=_output_name(config.output_path),
        ignored=tuple(
            (each.name, value)
            for each in fields(generation)
            if each.name not in SUPPORTED_PARAMS
            and (value := getattr(generation, each.name)) != getattr(default, each.name)
        ),
        remote=remote,
        fireworks=params,
        rules=rules,
    )


def _output_name(text: str | None) -> str | None:
    """Return the name of an output, ``~`` being the home folder."""
    return expanded_name(text) if text else None


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None
