"""Time the conversions against Oumi's own: `python benchmarks/conversion.py [conversations]`.

Each conversation has a system and a user message, 1 KB of text together. Prints microseconds a
conversation for each direction.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from oumi.core.configs import GenerationParams, ModelParams, RemoteParams
from oumi.core.types.conversation import Conversation, Message, Role
from oumi.inference import RemoteInferenceEngine

from oumi_fireworks.conversion import (
    RequestTemplate,
    check_conversation,
    prompt_of,
    to_conversation,
)


def conversation(number: int) -> Conversation:
    """Make one conversation of 1 KB."""
    text = f"{number:08d}".ljust(512, "x")
    return Conversation(
        messages=[Message(role=Role.SYSTEM, content=text), Message(role=Role.USER, content=text)]
    )


def measure(name: str, convert: Callable[[Conversation], object], over: list[Conversation]) -> None:
    """Print how long one conversion takes, the results being kept by nobody."""
    start = time.perf_counter()
    for each in over:
        convert(each)
    seconds = time.perf_counter() - start
    print(f"{name:<28} {seconds / len(over) * 1e6:8.2f} µs each {seconds:8.2f} s in all")


def main() -> None:
    """Run the comparison."""
    conversations = [conversation(n) for n in range(int([*sys.argv, "100000"][1]))]
    generation, model = GenerationParams(), ModelParams(model_name="m")
    stock = RemoteInferenceEngine(model, remote_params=RemoteParams())
    template = RequestTemplate(generation, model="m")
    answer = {
        "choices": [
            {"message": {"role": "assistant", "content": "y" * 512}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 256, "completion_tokens": 128, "total_tokens": 384},
    }
    measure(
        "request, Oumi",
        lambda each: stock._convert_conversation_to_api_input(each, generation, model),
        conversations,
    )
    measure("request", lambda each: template.body(prompt_of(each)), conversations)
    measure("check", lambda each: check_conversation(each, 0), conversations)
    measure(
        "answer, Oumi",
        lambda each: stock._convert_api_output_to_conversation(answer, each),
        conversations,
    )
    measure("answer", lambda each: to_conversation(answer, each), conversations)


if __name__ == "__main__":
    main()
