"""A process that is told to end leaves nothing behind that is paid for, and no file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from oumi_fireworks.emulator import Emulator, Fault, Pace
from oumi_fireworks.emulator.state.job_timeline import NEVER
from tests.engine.conftest import MODEL

CHILD = """
import sys
from oumi.core.configs import ModelParams
from oumi.core.types.conversation import Conversation, Message, Role
from oumi_fireworks import FireworksInferenceEngine

engine = FireworksInferenceEngine(ModelParams(model_name=sys.argv[1]))
print(engine.infer_batch([Conversation(messages=[Message(role=Role.USER, content="hi")])]))
"""


def test_infer_batch_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    with Emulator(pace=Pace(pending=NEVER)) as emulator:  # what has finished would be kept
        _end_a_submission(emulator, tmp_path)


def _end_a_submission(emulator: Emulator, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    slow = Fault(path="/batchInferenceJobs$", method="POST", kind="lost_answer", times=None)
    emulator.faults.add(slow)  # the job is made, and the client does not know
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, MODEL],
        env={**os.environ, **emulator.env, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            while not emulator.faults.fired(slow):
                assert child.poll() is None, child.communicate()
                threading.Event().wait(0.005)
            assert list(temporary.glob("oumi-fireworks-*"))
            child.send_signal(signal.SIGTERM)
            said = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == -signal.SIGTERM, said
    assert {job.state for job in emulator.jobs} == {"JOB_STATE_DELETED"}
    assert all(dataset.deleted for dataset in emulator.datasets)
    assert not list(temporary.glob("oumi-fireworks-*"))
