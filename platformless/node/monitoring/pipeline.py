"""The proof pipeline in numbers, read from the ledger.

Nothing is counted here: several processes work on one ledger, and each of them tells the same.
What is asked of the ledger is kept for five seconds at least, and longer when asking took long
(`Paced`): with a million jobs, counting takes a second and is done every twenty. Labels are
states, kinds and devices: their number does not grow.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from ...prover.ledger.job_states import TRANSITIONS, JobKind, JobState
from ...prover.ledger.job_values import JobCounts
from ...prover.ledger.jobs import Jobs, clock_ms
from ..operating.paced import Paced
from ..operating.views import JobView, newest_views

KEEP_SECONDS = 5.0
RECENT_PROOFS = 20
_MOST_UNDER_WAY = 1000
_QUANTILES = (("0.5", statistics.median), ("1", max))


@dataclass(frozen=True, slots=True)
class ProofTime:
    """How long a proof took."""

    device: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PipelineNumbers:
    """What is told of the pipeline, at a moment."""

    at_ms: int
    counts: JobCounts
    under_way: tuple[JobView, ...]
    """Checkpoints whose proof a worker builds."""
    recent: tuple[ProofTime, ...]
    """The newest proofs that are confirmed."""


class Pipeline:
    """Reads the numbers.

    Args:
        clock_ms: Unix time in milliseconds, for tests.
        keep_seconds: For tests.
    """

    def __init__(
        self,
        jobs: Jobs,
        clock_ms: Callable[[], int] = clock_ms,
        keep_seconds: float = KEEP_SECONDS,
    ) -> None:
        self._jobs = jobs
        self._clock_ms = clock_ms
        self._counts = Paced(jobs.counts, keep_seconds)
        self._under_way = Paced(self._ask_under_way, keep_seconds)
        self._recent = Paced(self._ask_recent, keep_seconds)
        self._times: dict[str, ProofTime] = {}
        """Of the newest confirmed proofs, by job: a confirmed proof does not change."""

    async def numbers(self) -> PipelineNumbers:
        """Raises:
        LedgerUnavailable
        """
        return PipelineNumbers(
            at_ms=self._clock_ms(),
            counts=await self._counts.answer(),
            under_way=await self._under_way.answer(),
            recent=await self._recent.answer(),
        )

    async def _ask_under_way(self) -> tuple[JobView, ...]:
        now_ms, states = self._clock_ms(), {JobState.PROVING}
        proving = await newest_views(self._jobs, now_ms, _MOST_UNDER_WAY, states)
        return tuple(
            view for view in proving if view.is_held and view.job.kind is JobKind.CHECKPOINT
        )

    async def _ask_recent(self) -> tuple[ProofTime, ...]:
        times: dict[str, ProofTime] = {}
        for job in await self._jobs.newest(RECENT_PROOFS, {JobState.CONFIRMED}):
            known = self._times.get(job.id)
            if known is None and job.kind is JobKind.CHECKPOINT:
                artefact = await self._jobs.artefact(job.id)
                if artefact is not None:
                    known = ProofTime(artefact.device, artefact.prove_ms / 1000)
            if known is not None:
                times[job.id] = known
        self._times = times
        return tuple(times.values())


def pipeline_families(numbers: PipelineNumbers) -> Iterator[Metric]:
    """The numbers as Prometheus names them."""
    by_state = numbers.counts.by_state
    jobs = GaugeMetricFamily("platformless_jobs", "Jobs in the ledger.", labels=("kind", "state"))
    for kind, states in TRANSITIONS.items():
        for state in states:
            jobs.add_metric((kind.value, state.value), by_state.get((kind, state), 0))
    yield jobs
    oldest_ms = numbers.counts.oldest_open_ms
    yield GaugeMetricFamily(
        "platformless_oldest_open_job_age_seconds",
        "Since the oldest unfinished job that payment waits for was made; 0 when there is none.",
        value=0 if oldest_ms is None else max(0, numbers.at_ms - oldest_ms) / 1000,
    )
    yield CounterMetricFamily(
        "platformless_proofs_confirmed",
        "Checkpoints whose proof is final on chain.",
        value=by_state.get((JobKind.CHECKPOINT, JobState.CONFIRMED), 0),
    )
    yield from _under_way(numbers.under_way)
    yield _recent(numbers.recent)


def _under_way(views: Sequence[JobView]) -> Iterator[Metric]:
    count = GaugeMetricFamily(
        "platformless_proofs_under_way",
        "Proofs of checkpoints that workers build.",
        labels=("device",),
    )
    ratio = GaugeMetricFamily(
        "platformless_proof_progress_ratio",
        "How much is done of the proofs under way, on average; absent when there are none.",
        labels=("device",),
    )
    for device in sorted({_device(view) for view in views}):
        done = [view.progress or 0.0 for view in views if _device(view) == device]
        count.add_metric((device,), len(done))
        ratio.add_metric((device,), statistics.fmean(done))
    if not views:
        count.add_metric(("cpu",), 0)
    yield count
    yield ratio


def _recent(times: Sequence[ProofTime]) -> Metric:
    """A summary without count and sum: the newest proofs are not all that ever were."""
    name = "platformless_recent_prove_seconds"
    about = f"What proofs took: of the {RECENT_PROOFS} newest confirmed jobs, median and maximum."
    recent = Metric(name, about, "summary")
    for device in sorted({time.device for time in times}):
        seconds = [time.seconds for time in times if time.device == device]
        for label, quantile in _QUANTILES:
            recent.add_sample(name, {"device": device, "quantile": label}, quantile(seconds))
    return recent


def _device(view: JobView) -> str:
    return view.job.device or "unknown"
