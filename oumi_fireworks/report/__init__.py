"""The report on a batch: one self-contained HTML page that tells whether it came out well.

```python
report = ReportBuilder(title="reviews.jsonl")
for index, completion in enumerate(completions):
    report.add(Row.from_completion(index, completion))
report.set_run(RunFacts(batch_id="oumi-4f2a", model="accounts/fireworks/models/gpt-oss-20b"))
report.write("report.html")
```

Rows are taken one at a time and in any order; what is kept of them is counts, histograms and a
sample of fixed size, so memory does not grow with the batch.
"""

from oumi_fireworks.report.builder import ReportBuilder
from oumi_fireworks.report.facts import JobFacts, RunFacts
from oumi_fireworks.report.rejections import RejectedAnswers, RejectedExample
from oumi_fireworks.report.rows import OutcomeKind, ReportedAnswer, ReportedFailure, Row

__all__ = [
    "ReportBuilder",
    "Row",
    "ReportedAnswer",
    "ReportedFailure",
    "OutcomeKind",
    "RunFacts",
    "JobFacts",
    "RejectedAnswers",
    "RejectedExample",
]
