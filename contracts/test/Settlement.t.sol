// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {HostEarnings, JobMarketplace} from "./Deployed.sol";
import {World} from "./World.sol";

contract SettlementTest is World {
    function test_completion_divides_the_deposit() public {
        uint256 jobId = _open(address(usdc));
        _prove(jobId, 1001);
        uint256 before = usdc.balanceOf(depositor);
        // 1001 tokens at 5000 cost 5005 units: 500 for the treasury, 4505 for the host.
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionCompleted(jobId, 1001, 4505, 10e6 - 5005);
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionCompletedBy(jobId, depositor, 1001, 5005, 10e6 - 5005);
        vm.expectEmit(address(earnings));
        emit HostEarnings.EarningsCredited(host, address(usdc), 4505, 4505);
        vm.expectEmit(address(market));
        emit JobMarketplace.PaymentSent(depositor, 10e6 - 5005);
        _complete(depositor, jobId);

        Session memory session = _session(jobId);
        vm.assertTrue(session.status == COMPLETED);
        vm.assertEq(session.conversationCID, "conversation");
        vm.assertEq(session.withdrawnByHost, 4505);
        vm.assertEq(session.refundedToUser, 10e6 - 5005);
        vm.assertEq(earnings.getBalance(host, address(usdc)), 4505);
        vm.assertEq(market.accumulatedTreasuryTokens(address(usdc)), 500);
        vm.assertEq(usdc.balanceOf(depositor) - before, 10e6 - 5005);
    }

    function test_a_session_ends_once() public {
        uint256 jobId = _open(NATIVE);
        _complete(depositor, jobId);
        skip(2 days);
        _refuses("Session not active");
        _complete(depositor, jobId);
        _refuses("Session not active");
        market.triggerSessionTimeout(jobId);
        jobId = _open(NATIVE);
        skip(301);
        market.triggerSessionTimeout(jobId);
        _refuses("Session not active");
        market.triggerSessionTimeout(jobId);
        _refuses("Session not active");
        _complete(host, jobId);
    }

    function test_an_unknown_session_cannot_end() public {
        _refuses("Only host/depositor");
        _complete(stranger, 99);
        _refuses("Session not active");
        market.triggerSessionTimeout(99);
    }

    function test_only_host_and_depositor_complete() public {
        uint256 jobId = _open(NATIVE);
        skip(DISPUTE_WINDOW);
        _refuses("Only host/depositor");
        _complete(stranger, jobId);
        _complete(host, jobId);
    }

    function test_the_depositor_completes_at_once() public {
        _complete(depositor, _open(NATIVE));
    }

    function test_the_host_waits_for_the_dispute_window() public {
        uint256 jobId = _open(NATIVE);
        skip(DISPUTE_WINDOW - 1);
        _refuses("Dispute wait");
        _complete(host, jobId);
        skip(1);
        _complete(host, jobId);
    }

    function test_the_dispute_window_counts_from_the_last_proof() public {
        uint256 jobId = _open(NATIVE);
        skip(100);
        _claim(jobId, 100, keccak256("proof"));
        skip(DISPUTE_WINDOW - 1);
        _refuses("Dispute wait");
        _complete(host, jobId);
        skip(1);
        _complete(host, jobId);
    }

    function test_anyone_ends_a_session_without_proofs_for_too_long() public {
        uint256 jobId = _open(NATIVE);
        skip(300);
        _refuses("Session not timed out");
        market.triggerSessionTimeout(jobId);
        skip(1);
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionCompletedBy(jobId, stranger, 0, 0, 0.01 ether);
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionTimedOut(jobId, 0, 0.01 ether);
        vm.prank(stranger);
        market.triggerSessionTimeout(jobId);
        vm.assertTrue(_session(jobId).status == TIMED_OUT);
    }

    function test_every_proof_restarts_the_proof_timeout() public {
        uint256 jobId = _open(NATIVE);
        skip(300);
        _claim(jobId, 100, keccak256("proof"));
        skip(300);
        _refuses("Session not timed out");
        market.triggerSessionTimeout(jobId);
        skip(1);
        market.triggerSessionTimeout(jobId);
    }

    function test_proofs_do_not_prolong_the_longest_duration() public {
        Ask memory ask = _ask(NATIVE);
        ask.maxDuration = 1000;
        uint256 jobId = _open(ask);
        for (uint256 i = 0; i < 5; ++i) {
            skip(200);
            _claim(jobId, 100, keccak256(abi.encode(i)));
        }
        _refuses("Session not timed out");
        market.triggerSessionTimeout(jobId);
        skip(1);
        market.triggerSessionTimeout(jobId);
        vm.assertGt(earnings.getBalance(host, NATIVE), 0);
    }

    function test_a_timeout_pays_for_proven_work_as_a_completion_does() public {
        uint256 completed = _open(NATIVE);
        uint256 timedOut = _open(NATIVE);
        _prove(completed, 777);
        _prove(timedOut, 777);
        _complete(depositor, completed);
        skip(301);
        market.triggerSessionTimeout(timedOut);
        vm.assertEq(_session(completed).withdrawnByHost, _session(timedOut).withdrawnByHost);
        vm.assertEq(_session(completed).refundedToUser, _session(timedOut).refundedToUser);
    }

    function test_settling_works_while_paused() public {
        uint256 completed = _open(NATIVE);
        uint256 timedOut = _open(NATIVE);
        market.pause();
        _complete(depositor, completed);
        skip(301);
        market.triggerSessionTimeout(timedOut);
    }

    function test_a_new_minimum_does_not_change_an_open_session() public {
        uint256 jobId = _open(address(usdc));
        market.setUsdcAddress(address(fab));
        _prove(jobId, 100);
        _complete(depositor, jobId);
        vm.assertEq(_session(jobId).withdrawnByHost, 450);
    }

    // Early cancellation

    function test_a_depositor_without_proofs_pays_the_cancel_fee_to_the_host() public {
        uint256 jobId = _open(address(usdc));
        // 1000 tokens at 5000.
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionCompletedBy(jobId, depositor, 0, 5000, 10e6 - 5000);
        _complete(depositor, jobId);
        vm.assertEq(earnings.getBalance(host, address(usdc)), 5000);
        vm.assertEq(market.accumulatedTreasuryTokens(address(usdc)), 0);
    }

    function test_there_is_no_cancel_fee_once_work_is_proven() public {
        uint256 jobId = _open(address(usdc));
        _prove(jobId, 100);
        _complete(depositor, jobId);
        vm.assertEq(_session(jobId).withdrawnByHost, 450);
    }

    function test_there_is_no_cancel_fee_for_a_host_or_a_timeout() public {
        uint256 byHost = _open(address(usdc));
        uint256 timedOut = _open(address(usdc));
        skip(301);
        _complete(host, byHost);
        market.triggerSessionTimeout(timedOut);
        vm.assertEq(earnings.getBalance(host, address(usdc)), 0);
        vm.assertEq(_session(byHost).refundedToUser, 10e6);
    }

    function test_there_is_no_cancel_fee_when_it_is_set_to_zero() public {
        market.setMinTokensFee(0);
        uint256 jobId = _open(address(usdc));
        _complete(depositor, jobId);
        vm.assertEq(_session(jobId).refundedToUser, 10e6);
    }

    function testFuzz_the_cancel_fee_is_at_most_the_deposit(uint256 fee, uint256 deposit, uint256 price) public {
        market.setMinTokensFee(fee);
        Ask memory ask = _ask(address(usdc));
        ask.deposit = bound(deposit, 500_000, 1_000_000e6);
        ask.price = bound(price, USDC_PRICE, ask.deposit * 10);
        uint256 jobId = _open(ask);
        _complete(depositor, jobId);
        bool whole = fee > 1e30 || fee * ask.price / 1000 > ask.deposit;
        vm.assertEq(_session(jobId).withdrawnByHost, whole ? ask.deposit : fee * ask.price / 1000);
        vm.assertEq(_session(jobId).withdrawnByHost + _session(jobId).refundedToUser, ask.deposit);
    }

    // Arithmetic

    function testFuzz_usdc_is_divided_to_the_last_unit(uint256 deposit, uint256 price, uint256 tokens, uint256 fee)
        public
    {
        Ask memory ask = _ask(address(usdc));
        ask.deposit = bound(deposit, 500_000, 1_000_000e6);
        ask.price = bound(price, USDC_PRICE, ask.deposit * 10);
        _dividesExactly(ask, tokens, fee);
    }

    function testFuzz_the_native_currency_is_divided_to_the_last_unit(
        uint256 deposit,
        uint256 price,
        uint256 tokens,
        uint256 fee
    ) public {
        Ask memory ask = _ask(NATIVE);
        ask.deposit = bound(deposit, 0.0001 ether, 1000 ether);
        ask.price = bound(price, NATIVE_PRICE, ask.deposit * 10);
        _dividesExactly(ask, tokens, fee);
    }

    function _dividesExactly(Ask memory ask, uint256 tokens, uint256 feeBasisPoints) private {
        feeBasisPoints = bound(feeBasisPoints, 0, 10_000);
        _useMarket(feeBasisPoints);
        models.setModelRateLimit(modelId, 1_000_000);
        uint256 affordable = ask.deposit * 1000 / ask.price;
        ask.maxDuration = 365 days;
        tokens = bound(tokens, 100, affordable < 1e12 ? affordable : 1e12);
        uint256 before = _balance(ask.token, depositor);
        uint256 jobId = _open(ask);
        skip((tokens + 999_999) / 1_000_000);
        _claim(jobId, tokens, keccak256("proof"));
        _complete(depositor, jobId);

        uint256 gross = tokens * ask.price / 1000;
        uint256 fee = gross * feeBasisPoints / 10_000;
        vm.assertEq(earnings.getBalance(host, ask.token), gross - fee);
        vm.assertEq(_treasuryFees(ask.token), fee);
        vm.assertEq(before - _balance(ask.token, depositor), gross);
        vm.assertEq(_balance(ask.token, address(market)), fee);
        vm.assertEq(_balance(ask.token, address(earnings)), gross - fee);
        vm.assertEq(_session(jobId).withdrawnByHost, gross - fee);
        vm.assertEq(_session(jobId).refundedToUser, ask.deposit - gross);
    }

    function _useMarket(uint256 feeBasisPoints) private {
        market = _market(feeBasisPoints);
        earnings.setAuthorizedCaller(address(market), true);
        proofs.setAuthorizedCaller(address(market), true);
        vm.prank(depositor);
        usdc.approve(address(market), type(uint256).max);
    }
}
