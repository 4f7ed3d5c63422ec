"""The fields of Oumi's ``InferenceConfig``, without the torch that Oumi's own classes load.

Names, types, defaults and the checks that matter to a remote engine are Oumi's, and a test holds
them equal to the installed Oumi's. What the fields mean is documented there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from oumi_fireworks.errors import ConfigurationError


class InferenceEngineType(Enum):
    """Oumi's engines. A configuration for another one is refused by its name."""

    NATIVE = "NATIVE"
    VLLM = "VLLM"
    REMOTE_VLLM = "REMOTE_VLLM"
    SGLANG = "SGLANG"
    LLAMACPP = "LLAMACPP"
    REMOTE = "REMOTE"
    ANTHROPIC = "ANTHROPIC"
    GOOGLE_VERTEX = "GOOGLE_VERTEX"
    GOOGLE_GEMINI = "GEMINI"
    DEEPSEEK = "DEEPSEEK"
    FIREWORKS = "FIREWORKS"
    PARASAIL = "PARASAIL"
    TOGETHER = "TOGETHER"
    OPENAI = "OPENAI"
    OPENROUTER = "OPENROUTER"
    SAMBANOVA = "SAMBANOVA"
    BEDROCK = "BEDROCK"
    CEREBRAS = "CEREBRAS"
    HUGGING_FACE_ROUTER = "HUGGING_FACE_ROUTER"


@dataclass
class ModelParams:
    """Oumi's ``ModelParams``. Most of them are for models that run on this machine."""

    model_name: str = MISSING
    adapter_model: str | None = None
    adapter_trainable: bool = False
    tokenizer_name: str | None = None
    tokenizer_pad_token: str | None = None
    tokenizer_kwargs: dict[str, Any] = field(default_factory=dict)
    processor_kwargs: dict[str, Any] = field(default_factory=dict)
    model_max_length: int | None = None
    load_pretrained_weights: bool = True
    trust_remote_code: bool = False
    torch_dtype_str: str = "auto"
    compile: bool = False
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    attn_implementation: str | None = None
    device_map: str | None = "auto"
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    enable_liger_kernel: bool = False
    shard_for_eval: bool = False
    freeze_layers: list[str] = field(default_factory=list)
    text_only: bool = False
    model_revision: str | None = None
    tool_call_parser: str | None = None


@dataclass
class GuidedDecodingParams:
    """Oumi's ``GuidedDecodingParams``: what the answer must look like."""

    json: Any | None = None
    regex: str | None = None
    choice: list[str] | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        given = [each for each in (self.json, self.regex, self.choice) if each is not None]
        _require(len(given) <= 1, "Only one of 'json', 'regex', or 'choice' can be specified")


@dataclass
class GenerationParams:
    """Oumi's ``GenerationParams``: how to generate."""

    max_new_tokens: int = 1024
    batch_size: int | None = 1
    exclude_prompt_from_response: bool = True
    seed: int | None = None
    temperature: float = 0.0
    top_p: float | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    stop_strings: list[str] | None = None
    stop_token_ids: list[int] | None = None
    logit_bias: dict[Any, float] = field(default_factory=dict)
    min_p: float = 0.0
    use_cache: bool = False
    num_beams: int = 1
    use_sampling: bool = False
    guided_decoding: GuidedDecodingParams | None = None
    skip_special_tokens: bool = True
    tool_choice: Any | None = None
    parallel_tool_calls: bool = True
    prompt_cache_ttl: str | None = None

    def __post_init__(self) -> None:
        _require(self.batch_size is None or self.batch_size >= 1, "Batch size must be positive.")
        _require(self.num_beams >= 1, "num_beams must be strictly larger than 0.")
        _require(self.temperature >= 0, "Temperature must be non-negative.")
        _require(self.top_p is None or 0 <= self.top_p <= 1, "top_p must be between 0 and 1.")
        for token, bias in self.logit_bias.items():
            _require(
                isinstance(token, str | int),
                f"Logit bias token ID {token} must be an integer or a string.",
            )
            _require(
                -100 <= bias <= 100, f"Logit bias for token {token} must be between -100 and 100."
            )
        _require(0 <= self.min_p <= 1, "min_p must be between 0 and 1.")
        _require(
            self.prompt_cache_ttl in (None, "5m", "1h"),
            'prompt_cache_ttl must be "5m", "1h", or None.',
        )


@dataclass
class RemoteParams:
    """Oumi's ``RemoteParams``: where to reach the service, and how fast."""

    api_url: str | None = None
    api_key: str | None = None
    api_key_env_varname: str | None = None
    user_id: str | None = None
    max_retries: int = 5
    retry_backoff_base: float = 1.0
    retry_backoff_max: float = 30.0
    connection_timeout: float = 300.0
    num_workers: int = 1
    requests_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    politeness_policy: float = 0.0
    batch_completion_window: str | None = "24h"
    use_adaptive_concurrency: bool = True

    def __post_init__(self) -> None:
        at_least_one = "must be greater than or equal to 1."
        _require(self.num_workers >= 1, f"Number of num_workers {at_least_one}")
        for name in ("requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} {at_least_one}")
        at_least_zero = "must be greater than or equal to 0."
        _require(not self.politeness_policy < 0, f"Politeness policy {at_least_zero}")
        _require(not self.connection_timeout < 0, f"Connection timeout {at_least_zero}")
        _require(math.isfinite(self.politeness_policy), "Politeness policy must be finite.")
        _require(self.max_retries >= 0, f"Max retries {at_least_zero}")
        _require(not self.retry_backoff_base <= 0, "Retry backoff base must be greater than 0.")
        _require(
            not self.retry_backoff_max < self.retry_backoff_base,
            "Retry backoff max must be greater than or equal to retry backoff base.",
        )


@dataclass
class InferenceConfig:
    """Oumi's ``InferenceConfig``: a whole file."""

    model: ModelParams = field(default_factory=ModelParams)
    generation: GenerationParams = field(default_factory=GenerationParams)
    input_path: str | None = None
    output_path: str | None = None
    progress_path: str | None = None
    engine: InferenceEngineType | None = None
    remote_params: RemoteParams | None = None


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigurationError(message)
