"""`fabstir-llm-node jobs` over a ledger whose chain is down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import Submission
from tests.ledger_jobs.builder import (
    ARTEFACT,
    AUDIT,
    FAILED,
    HALF_DONE,
    LEASE_MS,
    PROBLEM,
    PROVEN,
    PUBLISHED,
    TRACED,
    Store,
)

from .conftest import CHAIN, Folder

CONFIRMED = Submission(
    proof_cid="uProof",
    delta_cid="uDelta",
    transaction_hash="0xfeed",
    block_number=12,
    fee_wei="21000",
    confirmed_ms=1_700_000_000_000,
)


async def some_jobs(store: Store) -> None:
    """7-0 proven and published, 7-1 failed in its proof, 8-0 half proven; a second apart."""
    await store.session(7)
    await store.jobs.finish(await store.claimed(), PROVEN, artefact=ARTEFACT)
    lease = await store.stepped("7-0", PROVEN)
    await store.jobs.finish(lease, PUBLISHED, submission=CONFIRMED)
    store.clock.go(1000)
    await store.session(8)
    await store.jobs.fail(await store.claimed(), PROBLEM)
    store.clock.go(1000)
    await store.session(9)
    await store.jobs.renew(await store.claimed(), LEASE_MS, HALF_DONE)


def test_jobs_are_listed_the_newest_first(folder: Folder) -> None:
    folder.having(some_jobs)
    result = folder.run("jobs")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "9-0", "8-0", "7-0"]
    assert "proving" in lines[1]
    assert "50 %" in lines[1]
    assert lines[2].endswith("TST-001")
    assert "100 %" in lines[3]


def test_a_list_is_narrowed(folder: Folder) -> None:
    folder.having(some_jobs)
    found = folder.json("jobs", "--state", "failed", "--state", "published")
    assert [job["id"] for job in found["jobs"]] == ["8-0", "7-0"]
    assert [job["id"] for job in folder.json("jobs", "--limit", "1")["jobs"]] == ["9-0"]
    assert folder.run("jobs", "--state", "lost").exit_code == 2


def test_the_json_of_a_job_is_stable(folder: Folder) -> None:
    folder.having(some_jobs)
    document = folder.json("jobs", "--state", "failed")
    assert (document["format"], document["command"]) == ("fabstir-llm-node/1", "jobs")
    [job] = document["jobs"]
    assert set(job) == {
        "id",
        "kind",
        "session_id",
        "number",
        "queue",
        "state",
        "tokens",
        "created_ms",
        "changed_ms",
        "age_seconds",
        "due_at",
        "due_in_seconds",
        "starts",
        "failures",
        "not_before_ms",
        "is_held",
        "owner",
        "lease_until_ms",
        "device",
        "late_for",
        "failed_from",
        "problem",
        "progress",
    }
    assert (job["session_id"], job["tokens"], job["starts"]) == ("8", 50, 1)
    assert job["problem"] == {"code": PROBLEM.code, "message": PROBLEM.message}
    assert job["failed_from"] == "proving"


def test_everything_about_a_job_is_shown(folder: Folder) -> None:
    folder.having(some_jobs)
    text = folder.run("jobs", "show", "7-0").stdout
    for told in ("published", "a worker with a CPU", "prove", "done", "uProof", "0xfeed", "21000"):
        assert told in text
    assert str(ARTEFACT.proof_hash) in text
    document = folder.json("jobs", "show", "7-0")
    assert [attempt["outcome"] for attempt in document["attempts"]] == ["done", "done"]
    assert document["artefact"]["is_kept"] is True
    assert document["submission"]["delta_cid"] == "uDelta"
    failed = folder.json("jobs", "show", "8-0")
    assert failed["artefact"] is None
    assert failed["attempts"][0]["problem"]["code"] == PROBLEM.code
    assert PROBLEM.message in folder.run("jobs", "show", "8-0").stdout
    assert folder.json("jobs", "show", "9-0")["job"]["proof"]["cycles_done"] == 5


async def some_samples(store: Store) -> None:
    """7-0 with a trace, 8-0 without the one that it should have; 7-0's sample failed, 9-0's was
    not drawn."""
    await store.sampled(7)
    await store.jobs.fail(await store.claimed(queue=AUDIT), PROBLEM)
    await store.session(8)
    untraced = replace(ARTEFACT, trace_problem=PROBLEM)
    await store.jobs.finish(await store.claimed(), PROVEN, artefact=untraced)
    await store.sampled(9)
    told = Submission(outcome="not drawn")
    await store.jobs.finish(await store.claimed(queue=AUDIT), JobState.CONFIRMED, submission=told)


def test_a_trace_and_what_became_of_it_are_shown(folder: Folder) -> None:
    folder.having(some_samples)
    root = str(TRACED.trace_root)
    for job_id, trace_root, problem in (
        ("7-0", root, None),
        ("8-0", None, {"code": PROBLEM.code, "message": PROBLEM.message}),
    ):
        artefact = folder.json("jobs", "show", job_id)["artefact"]
        assert (artefact["trace_root"], artefact["trace_problem"]) == (trace_root, problem)
    traced, untraced = (folder.run("jobs", "show", job_id).stdout for job_id in ("7-0", "8-0"))
    assert (root in traced, "not traced" in traced) == (True, False)
    assert ("not traced" in untraced, PROBLEM.message in untraced) == (True, True)


def test_samples_are_shown_and_retried_as_other_jobs(folder: Folder) -> None:
    folder.having(some_samples)
    failed = folder.json("jobs", "show", "7-0-sample")["job"]
    assert (failed["kind"], failed["state"]) == ("sample", "failed")
    assert "7, checkpoint 0" in folder.run("jobs", "show", "7-0-sample").stdout
    assert "not drawn" in folder.run("jobs", "show", "9-0-sample").stdout
    ids = [job["id"] for job in folder.json("jobs", "--state", "failed")["jobs"]]
    assert ids == ["7-0-sample"]
    assert folder.run("jobs", "retry", "7-0-sample").exit_code == 0
    assert folder.json("jobs", "show", "7-0-sample")["job"]["state"] == "recorded"


def test_an_unknown_job_is_named(folder: Folder) -> None:
    folder.having(some_jobs)
    for command in ("show", "retry"):
        document = folder.json("jobs", command, "1-1", status=3)
        assert document["outcome"] == "failed"
        assert document["error"]["code"] == "LED-010"
        assert document["error"]["got"] == "1-1"


def test_a_failed_job_is_tried_again(folder: Folder) -> None:
    folder.having(some_jobs)
    result = folder.run("jobs", "retry", "8-0")
    assert (result.exit_code, result.stdout) == (0, "8-0 again recorded\n")
    assert folder.json("jobs", "show", "8-0")["job"]["state"] == "recorded"
    assert folder.json("jobs", "retry", "8-0", status=3)["error"]["code"] == "LED-009"


def test_one_that_is_refused_keeps_no_other_from_being_tried_again(folder: Folder) -> None:
    folder.having(some_jobs)
    document = folder.json("jobs", "retry", "7-0", "8-0", "1-1", status=3)
    assert document["retried"] == [{"id": "8-0", "state": "recorded"}]
    refused = {entry["id"]: entry["error"]["code"] for entry in document["refused"]}
    assert refused == {"7-0": "LED-009", "1-1": "LED-010"}


def test_every_failed_job_is_tried_again(folder: Folder) -> None:
    async def fail_twenty(store: Store) -> None:
        await some_jobs(store)
        await store.session(10, 20)
        for number in range(20):
            await store.place(f"10-{number}", FAILED, failed_from=JobState.PROVEN.value)

    folder.having(fail_twenty)
    document = folder.json("jobs", "retry", "--all-failed")
    assert len(document["retried"]) == 21
    assert document["refused"] == []
    assert folder.json("jobs", "--state", "failed")["jobs"] == []
    assert len(folder.json("jobs", "--state", "proven")["jobs"]) == 20
    assert folder.run("jobs", "retry", "--all-failed").stdout == "no job has failed\n"


@pytest.mark.parametrize("arguments", [[], ["8-0", "--all-failed"]])
def test_which_jobs_are_to_be_tried_again_must_be_said(
    folder: Folder, arguments: list[str]
) -> None:
    assert folder.json("jobs", "retry", *arguments, status=2)["error"]["code"] == "CLI-001"


def test_looking_begins_no_ledger(folder: Folder) -> None:
    document = folder.json("jobs", status=2)
    assert document["error"]["code"] == "OPR-001"
    assert not (folder.path / "data").exists()


def test_while_the_chain_is_down_another_marketplaces_jobs_are_not_taken_for_this_ones(
    folder: Folder,
) -> None:
    folder.having(some_jobs)
    folder.having(some_jobs, "84532:0xaa:0x1111111111111111111111111111111111111111")
    assert len(folder.json("jobs")["jobs"]) == 3
    told = f"the chain does not answer: taken for {CHAIN}\n"
    assert folder.run("jobs").stderr == told


def test_while_the_chain_is_down_several_chains_are_named(folder: Folder) -> None:
    other = CHAIN.replace("0xaa", "0xbb")
    folder.having(some_jobs)
    folder.having(some_jobs, other)
    error = folder.json("jobs", status=3)["error"]
    assert error["code"] == "OPR-002"
    assert error["got"] == f"{CHAIN}, {other}"


def test_a_watch_on_a_pipe_ends_when_no_job_is_open(folder: Folder) -> None:
    async def over(store: Store) -> None:
        await store.session(7)
        await store.jobs.fail(await store.claimed(), PROBLEM)

    folder.having(over)
    result = folder.run("jobs", "watch", "--until-idle")
    assert (result.exit_code, result.stdout) == (0, "")
