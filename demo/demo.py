"""Oumi on Fireworks in a minute, without a key: `make demo` runs this against the emulator.

First `oumi infer` with `engine: FIREWORKS`, then a batch's life from submit to results, from Python
and from the command line. It stops with an error as soon as something is not as it says.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "configs/chat.yaml"
QUESTIONS = "configs/data/questions.jsonl"
ANSWERS = "demo-output/answers.jsonl"
MODEL = "accounts/fireworks/models/llama-v3p1-8b-instruct"


def say(text: str) -> None:
    """Print a paragraph for a narrow terminal, at once."""
    print(textwrap.fill(text, 78), end="\n\n", flush=True)


def show(conversation: dict[str, Any]) -> None:
    """Print a conversation as a person reads it."""
    for message in conversation["messages"]:
        line = f"{message['role'] + ':':<11}{message['content']}"
        print(textwrap.fill(line, 76, initial_indent="    ", subsequent_indent=" " * 15))
    print()


def require(is_so: bool, complaint: str) -> None:
    """Stop the demo where something is not as it should be."""
    if not is_so:
        sys.exit(f"The demo failed: {complaint}")


def run(*command: str) -> str:
    """Show a command, run it and return what it prints; all of it is shown if it fails."""
    print(f"    $ {' '.join(command)}\n", flush=True)
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [program, *command[1:]],
        cwd=ROOT,
        env={**os.environ, "DO_NOT_TRACK": "1", "COLUMNS": "76"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    require(done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def online() -> None:
    """Run `oumi infer` as a user would, and show an answer."""
    output = ROOT / ANSWERS
    output.unlink(missing_ok=True)
    say(
        "1. ONLINE. A config with `engine: FIREWORKS`, run by Oumi itself, which takes its time "
        "to start:"
    )
    run("oumi", "infer", "-c", CONFIG, "--output_path", ANSWERS)
    asked = (ROOT / QUESTIONS).read_text(encoding="utf-8").splitlines()
    answered = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    require(len(answered) == len(asked), f"{len(asked)} questions, {len(answered)} answers")
    say(f"All {len(answered)} conversations were answered. The first of them:")
    show(answered[0])


def batch() -> None:
    """Follow a batch from its submission to its results."""
    from oumi.core.configs import ModelParams
    from oumi.core.types.conversation import Conversation
    from oumi.inference.remote_inference_engine import BatchInfo

    from oumi_fireworks import FireworksInferenceEngine

    say("2. BATCH, at half the price of online. The same conversations, from Python:")
    lines = (ROOT / QUESTIONS).read_text(encoding="utf-8").splitlines()
    conversations = [Conversation.from_json(line) for line in lines]
    engine = FireworksInferenceEngine(ModelParams(model_name=MODEL))
    logging.getLogger("oumi_fireworks").setLevel(logging.WARNING)
    batch_id = engine.infer_batch(conversations)
    print("    >>> engine.infer_batch(conversations)")
    print(f"    {batch_id!r}")
    print("    >>> engine.wait_for_batch(_, on_progress=...)")
    states: list[str] = []

    def on_progress(info: BatchInfo) -> None:
        state = (info.metadata or {})["state"]
        if state not in states:
            states.append(state)
            done = f"{info.completed_requests} of {info.total_requests} rows"
            print(f"    {state:<26} {done}", flush=True)

    engine.wait_for_batch(batch_id, poll_interval=0.1, on_progress=on_progress)
    require(states[-1] == "JOB_STATE_COMPLETED", f"the batch ended as {states[-1]}")
    answered = engine.get_batch_results(batch_id, conversations)
    print("    >>> engine.get_batch_results(_, conversations)\n")
    require(
        [each.messages[:-1] for each in answered] == [each.messages for each in conversations],
        "a row was lost, or came back in another place",
    )
    say(f"{len(answered)} answers, in the order of the questions. The last of them:")
    show(answered[-1].to_dict())
    say("The id says everything: any machine can follow the batch, also from the command line.")
    status = run("oumi-fireworks", "batch", "status", batch_id)
    require(batch_id in status, f"no status of {batch_id}:\n{status}")
    print(textwrap.indent(status, "    "))


def main() -> None:
    """Run the demo."""
    url = os.environ.get("FIREWORKS_BASE_URL")
    require(url is not None, "it needs an emulator around it: make demo")
    say(
        f"An emulator of Fireworks listens on {url}. It answers with a toy model, and needs "
        "neither a key nor a network."
    )
    online()
    batch()
    say(
        "That was all. With FIREWORKS_API_KEY set, the same runs on the real service. With "
        "`mode: batch` in the config, as in configs/batch.yaml, `oumi infer` takes the way "
        "through the Batch API by itself."
    )


if __name__ == "__main__":
    main()
