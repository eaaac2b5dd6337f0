// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {JobMarketplace, ProofSystem} from "./Deployed.sol";
import {World} from "./World.sol";

contract ProofsTest is World {
    bytes32 private constant HASH = keccak256("proof");

    function test_a_proof_is_recorded() public {
        uint256 jobId = _open(NATIVE);
        skip(10);
        vm.expectEmit(address(market));
        emit JobMarketplace.ProofSubmitted(jobId, host, 150, HASH, "proof", "delta");
        vm.expectEmit(address(proofs));
        emit ProofSystem.ProofVerified(HASH, host, 150);
        _claim(jobId, 150, HASH);
        Session memory session = _session(jobId);
        vm.assertEq(session.tokensUsed, 150);
        vm.assertEq(session.lastProofTime, vm.getBlockTimestamp());
        vm.assertEq(session.lastProofHash, HASH);
        vm.assertEq(session.lastProofCID, "proof");
        (bytes32 hash, uint256 tokens, uint256 timestamp, bool verified, string memory delta) =
            market.getProofSubmission(jobId, 0);
        vm.assertEq(hash, HASH);
        vm.assertEq(tokens, 150);
        vm.assertEq(timestamp, vm.getBlockTimestamp());
        vm.assertTrue(verified);
        vm.assertEq(delta, "delta");
    }

    function test_claims_add_up() public {
        uint256 jobId = _open(NATIVE);
        _prove(jobId, 150);
        _prove(jobId, 100);
        vm.assertEq(_session(jobId).tokensUsed, 250);
        (, uint256 second,,,) = market.getProofSubmission(jobId, 1);
        vm.assertEq(second, 100);
    }

    function test_reading_past_the_last_proof_reverts() public {
        uint256 jobId = _open(NATIVE);
        _refuses("Bad index");
        market.getProofSubmission(jobId, 0);
        _prove(jobId, 100);
        _refuses("Bad index");
        market.getProofSubmission(jobId, 1);
    }

    function test_both_links_may_be_empty() public {
        uint256 jobId = _open(NATIVE);
        skip(1);
        vm.prank(host);
        market.submitProofOfWork(jobId, 100, HASH, "", "");
    }

    function test_only_the_sessions_host_proves() public {
        uint256 jobId = _open(NATIVE);
        skip(1);
        for (uint256 i = 0; i < 2; ++i) {
            _refuses("Not host");
            vm.prank(i == 0 ? depositor : stranger);
            market.submitProofOfWork(jobId, 100, HASH, "", "");
        }
        _refuses("Not host");
        _claim(99, 100, HASH);
    }

    function test_nothing_is_proven_after_the_end() public {
        uint256 jobId = _open(NATIVE);
        _complete(depositor, jobId);
        skip(1);
        _refuses("Session not active");
        _claim(jobId, 100, HASH);
        jobId = _open(NATIVE);
        skip(301);
        market.triggerSessionTimeout(jobId);
        _refuses("Session not active");
        _claim(jobId, 100, HASH);
    }

    function test_a_paused_marketplace_takes_no_proofs() public {
        uint256 jobId = _open(NATIVE);
        skip(1);
        market.pause();
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        _claim(jobId, 100, HASH);
    }

    function test_a_claim_has_at_least_a_hundred_tokens() public {
        uint256 jobId = _open(NATIVE);
        skip(1);
        _refuses("Must claim minimum tokens");
        _claim(jobId, 99, HASH);
        _claim(jobId, 100, HASH);
        skip(1);
        _refuses("Must claim minimum tokens");
        _claim(jobId, 99, keccak256("second"));
    }

    function test_the_first_claim_covers_the_interval() public {
        Ask memory ask = _ask(NATIVE);
        ask.interval = 500;
        uint256 jobId = _open(ask);
        skip(10);
        _refuses("Low first");
        _claim(jobId, 499, HASH);
        _claim(jobId, 500, HASH);
    }

    function test_later_claims_need_not_cover_the_interval() public {
        Ask memory ask = _ask(NATIVE);
        ask.interval = 500;
        uint256 jobId = _open(ask);
        _prove(jobId, 500);
        _prove(jobId, 100);
    }

    function test_claims_keep_to_the_default_rate() public {
        uint256 jobId = _open(NATIVE);
        _refuses("Too many");
        _claim(jobId, 100, HASH);
        skip(1);
        _refuses("Too many");
        _claim(jobId, 2001, HASH);
        _claim(jobId, 2000, HASH);
    }

    function test_every_proof_restarts_the_rate() public {
        uint256 jobId = _open(NATIVE);
        skip(10);
        _claim(jobId, 100, HASH);
        _refuses("Too many");
        _claim(jobId, 100, keccak256("second"));
        skip(1);
        _refuses("Too many");
        _claim(jobId, 2001, keccak256("second"));
    }

    function test_a_model_may_have_its_own_rate() public {
        models.setModelRateLimit(modelId, 50);
        uint256 jobId = _open(NATIVE);
        skip(2);
        _refuses("Too many");
        _claim(jobId, 101, HASH);
        _claim(jobId, 100, HASH);
    }

    function test_claims_never_cost_more_than_the_deposit() public {
        Ask memory ask = _ask(address(usdc));
        uint256 affordable = ask.deposit * 1000 / ask.price;
        uint256 jobId = _open(ask);
        skip(4000);
        _refuses("Exceeds deposit");
        _claim(jobId, affordable + 1, HASH);
        _claim(jobId, affordable - 100, HASH);
        skip(1);
        _refuses("Exceeds deposit");
        _claim(jobId, 101, keccak256("second"));
        _claim(jobId, 100, keccak256("second"));
        skip(1);
        _refuses("Exceeds deposit");
        _claim(jobId, 100, keccak256("third"));
    }

    function test_checks_come_in_order() public {
        Ask memory ask = _ask(address(usdc));
        ask.interval = 500;
        uint256 jobId = _open(ask);
        _refuses("Must claim minimum tokens");
        _claim(jobId, 99, HASH);
        _refuses("Low first");
        _claim(jobId, 499, HASH);
        _refuses("Too many");
        _claim(jobId, type(uint256).max, HASH);
    }

    function test_a_hash_is_spent_once_in_all_sessions() public {
        uint256 first = _open(NATIVE);
        uint256 second = _open(address(usdc));
        skip(1);
        _claim(first, 100, HASH);
        skip(1);
        _refuses("Proof used");
        _claim(first, 100, HASH);
        _refuses("Proof used");
        _claim(second, 100, HASH);
        vm.assertEq(_session(second).tokensUsed, 0);
    }

    function test_a_hash_is_spent_once_by_all_hosts() public {
        address other = makeAddr("other host");
        _register(other);
        Ask memory ask = _ask(NATIVE);
        ask.host = other;
        uint256 first = _open(NATIVE);
        uint256 second = _open(ask);
        skip(1);
        _claim(first, 100, HASH);
        _refuses("Proof used");
        vm.prank(other);
        market.submitProofOfWork(second, 100, HASH, "", "");
    }

    function test_without_a_proof_system_proofs_are_not_verified() public {
        market = JobMarketplace(
            _proxy(
                "JobMarketplace",
                abi.encodeCall(JobMarketplace.initialize, (address(nodes), address(earnings), 1000, DISPUTE_WINDOW))
            )
        );
        uint256 jobId = _open(NATIVE);
        skip(1);
        _claim(jobId, 100, HASH);
        (,,, bool verified,) = market.getProofSubmission(jobId, 0);
        vm.assertFalse(verified);
        vm.assertFalse(proofs.verifiedProofs(HASH));
    }

    function test_a_marketplace_the_proof_system_does_not_know_is_refused() public {
        proofs.setAuthorizedCaller(address(market), false);
        uint256 jobId = _open(NATIVE);
        skip(1);
        _refuses("Unauthorized");
        _claim(jobId, 100, HASH);
    }

    function testFuzz_a_claim_passes_exactly_within_rate_and_deposit(
        uint256 deposit,
        uint256 tokens,
        uint256 elapsed,
        uint256 rate
    ) public {
        Ask memory ask = _ask(address(usdc));
        ask.deposit = bound(deposit, 500_000, 1_000_000e6);
        tokens = bound(tokens, 100, 1_000_000);
        elapsed = bound(elapsed, 0, 3000);
        rate = bound(rate, 10, 4000);
        models.setModelRateLimit(modelId, rate);
        uint256 jobId = _open(ask);
        skip(elapsed);
        if (tokens > elapsed * rate) _refuses("Too many");
        else if (tokens * ask.price > ask.deposit * 1000) _refuses("Exceeds deposit");
        _claim(jobId, tokens, HASH);
    }

    function testFuzz_a_first_claim_passes_exactly_from_the_interval_on(uint256 interval, uint256 tokens) public {
        Ask memory ask = _ask(NATIVE);
        ask.interval = bound(interval, 100, 3000);
        tokens = bound(tokens, 0, 3000);
        uint256 jobId = _open(ask);
        skip(10);
        if (tokens < 100) _refuses("Must claim minimum tokens");
        else if (tokens < ask.interval) _refuses("Low first");
        _claim(jobId, tokens, HASH);
    }
}
