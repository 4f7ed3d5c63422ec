"""Online inference inside of a Ray dataset: the engine in `map_batches`, one for each actor.

    pip install 'oumi-fireworks[ray]'
    python examples/ray_online.py reviews.parquet answers/

Each actor paces itself by what the service tells it of the account's limits, so together they keep
to these. Rows that fail leave their answer empty.
"""

from __future__ import annotations

import sys

import pyarrow as pa
from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams
from oumi.core.types.conversation import Conversation, Message, Role

from oumi_fireworks import FireworksInferenceEngine

MODEL = "accounts/fireworks/models/llama-v3p1-8b-instruct"


class Classifier:
    """Answers the rows of a table. Each actor has one, and with it connections that it keeps."""

    def __init__(self, model: str = MODEL) -> None:
        # A row that fails must not stop the others, nor make Ray run all of them again, paid anew.
        options = {"fireworks": {"on_failed_rows": "keep"}}
        self._engine = FireworksInferenceEngine(ModelParams(model_name=model, model_kwargs=options))
        self._config = InferenceConfig(generation=GenerationParams(max_new_tokens=50))

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the table with a further column, `answer`."""
        asked = [
            Conversation(
                conversation_id=str(row),
                messages=[Message(role=Role.USER, content=f"Classify the review: {text}")],
            )
            for row, text in enumerate(table["text"].to_pylist())
        ]
        answered = self._engine.infer(asked, self._config)
        answers = {each.conversation_id: each.messages[-1].content for each in answered}
        column = [answers.get(str(row)) for row in range(len(table))]
        return table.append_column("answer", pa.array(column, pa.string()))


def main(source: str, target: str) -> None:
    """Answer the rows of Parquet files, and write them to a folder."""
    import ray

    rows = ray.data.read_parquet(source)
    answered = rows.map_batches(Classifier, batch_format="pyarrow", batch_size=512, concurrency=2)
    answered.write_parquet(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
