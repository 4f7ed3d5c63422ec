"""Online inference inside of a Ray dataset: the engine in `map_batches`, one for each actor.

    pip install 'oumi-fireworks[ray]'
    python examples/ray_online.py examples/ray_online.yaml reviews.parquet answers/

Each actor paces itself by what the service tells it of the account's limits, so together they keep
to these. Rows that fail leave their answer empty.
"""

from __future__ import annotations

import sys

import pyarrow as pa
from oumi.core.configs import InferenceConfig
from oumi.core.types.conversation import Conversation, Message, Role

from oumi_fireworks import FireworksInferenceEngine


class Classifier:
    """Answers the rows of a table. Each actor has one, and with it connections that it keeps."""

    def __init__(self, config: InferenceConfig) -> None:
        self._engine = FireworksInferenceEngine(config.model)
        self._config = config

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


def main(config: str, source: str, target: str) -> None:
    """Answer the rows of Parquet files, and write them to a folder.

    Args:
        config: The configuration, on this machine: it travels to the others. The key does not.
        source: The files.
        target: The folder.
    """
    import ray

    rows = ray.data.read_parquet(source)
    answered = rows.map_batches(
        Classifier,
        fn_constructor_args=(InferenceConfig.from_yaml(config),),
        batch_format="pyarrow",
        batch_size=512,
        concurrency=2,
    )
    answered.write_parquet(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
