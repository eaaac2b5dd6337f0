"""The pipeline in numbers, read as Prometheus reads them."""

from __future__ import annotations

from platformless.node.monitoring.exposition import exposed
from platformless.node.monitoring.pipeline import Pipeline, pipeline_families
from tests.ledger_jobs.builder import (
    ARTEFACT,
    AUDIT,
    GPU,
    HALF_DONE,
    LEASE_MS,
    PROBLEM,
    PROVEN,
    Store,
)

from .scraping import Samples, samples_of, value


class Scraper:
    """Reads the pipeline as a scrape does."""

    def __init__(self, store: Store, keep_seconds: float = 0.0) -> None:
        self._pipeline = Pipeline(store.jobs, store.clock, keep_seconds)

    async def text(self) -> str:
        return exposed(pipeline_families(await self._pipeline.numbers())).decode()

    async def samples(self) -> Samples:
        return samples_of(await self.text())


async def test_the_text_is_prometheus(store: Store) -> None:
    text = await Scraper(store).text()
    assert "# TYPE platformless_jobs gauge" in text
    assert "# TYPE platformless_proofs_confirmed_total counter" in text


async def test_an_empty_ledger_has_every_state_at_zero(store: Store) -> None:
    samples = await Scraper(store).samples()
    jobs = [found for (name, _), found in samples.items() if name == "platformless_jobs"]
    assert jobs == [0.0] * (7 + 5 + 4)
    assert value(samples, "oldest_open_job_age_seconds") == 0
    assert value(samples, "proofs_confirmed_total") == 0
    assert value(samples, "proofs_under_way", {"device": "cpu"}) == 0
    assert "platformless_proof_progress_ratio" not in {name for name, _ in samples}


async def test_jobs_are_counted_by_kind_and_state(store: Store) -> None:
    await store.session(7, ended=True)
    await store.settle(7)
    await store.session(8, 2)
    await store.jobs.fail(await store.claimed(), PROBLEM)
    store.clock.go(3_000)
    samples = await Scraper(store).samples()
    for kind, state, count in (
        ("checkpoint", "confirmed", 1),
        ("checkpoint", "failed", 1),
        ("checkpoint", "recorded", 1),
        ("settlement", "confirmed", 1),
        ("settlement", "recorded", 0),
    ):
        assert value(samples, "jobs", {"kind": kind, "state": state}) == count
    assert value(samples, "oldest_open_job_age_seconds") == 3
    assert value(samples, "proofs_confirmed_total") == 1
    labels = {"device": "cpu", "quantile": "0.5"}
    assert value(samples, "recent_prove_seconds", labels) == ARTEFACT.prove_ms / 1000


async def test_proofs_under_way_are_told_by_device(store: Store) -> None:
    await store.session(7, 3)
    await store.claimed()
    lease = await store.claimed()
    await store.jobs.renew(lease, LEASE_MS, HALF_DONE)
    await store.claimed(GPU)
    samples = await Scraper(store).samples()
    assert value(samples, "proofs_under_way", {"device": "cpu"}) == 2
    assert value(samples, "proofs_under_way", {"device": "cuda"}) == 1
    assert value(samples, "proof_progress_ratio", {"device": "cpu"}) == 0.25
    store.clock.go(LEASE_MS + 1)
    samples = await Scraper(store).samples()
    assert value(samples, "proofs_under_way", {"device": "cpu"}) == 0


async def test_samples_are_counted_by_themselves(store: Store) -> None:
    """Nobody is paid later because one waits, and who builds one builds no other proof."""
    await store.sampled(7, 2)
    await store.jobs.fail(await store.claimed(queue=AUDIT), PROBLEM)
    await store.claimed(queue=AUDIT)
    store.clock.go(3_000)
    samples = await Scraper(store).samples()
    for state, count in (("failed", 1), ("proving", 1), ("recorded", 0)):
        assert value(samples, "jobs", {"kind": "sample", "state": state}) == count
    assert value(samples, "oldest_open_job_age_seconds") == 0
    assert value(samples, "proofs_under_way", {"device": "cpu"}) == 0
    assert value(samples, "proofs_confirmed_total") == 2


async def test_the_ledger_is_not_read_at_each_scrape(store: Store) -> None:
    kept, fresh = Scraper(store, keep_seconds=1000), Scraper(store)
    recorded = {"kind": "checkpoint", "state": "recorded"}
    assert value(await kept.samples(), "jobs", recorded) == 0
    await store.session(7)
    assert value(await kept.samples(), "jobs", recorded) == 0
    assert value(await fresh.samples(), "jobs", recorded) == 1


async def test_the_number_of_samples_does_not_grow(store: Store) -> None:
    async def names() -> set[tuple[str, frozenset[tuple[str, str]]]]:
        return set(await Scraper(store).samples())

    await store.session(7, 2)
    await store.jobs.finish(await store.claimed(), PROVEN, artefact=ARTEFACT)
    await store.claimed()
    few = await names()
    for session_id in range(10, 40):
        await store.session(session_id, 2)
    for _ in range(20):
        await store.claimed()
    assert await names() == few
