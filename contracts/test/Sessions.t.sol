// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {JobMarketplace} from "./Deployed.sol";
import {World} from "./World.sol";

contract SessionsTest is World {
    address private delegate = makeAddr("delegate");

    function setUp() public override {
        super.setUp();
        vm.startPrank(depositor);
        market.depositNative{value: 2000 ether}();
        market.depositToken(address(usdc), 2_000_000e6);
        market.authorizeDelegate(delegate, true);
        vm.stopPrank();
    }

    function test_a_session_records_what_was_agreed() public {
        Ask memory ask = _ask(NATIVE);
        uint256 jobId = _open(ask);
        Session memory session = _session(jobId);
        vm.assertEq(session.id, jobId);
        vm.assertEq(session.depositor, depositor);
        vm.assertEq(session.host, host);
        vm.assertEq(session.token, NATIVE);
        vm.assertEq(session.deposit, ask.deposit);
        vm.assertEq(session.price, ask.price);
        vm.assertEq(session.tokensUsed, 0);
        vm.assertEq(session.maxDuration, ask.maxDuration);
        vm.assertEq(session.startTime, vm.getBlockTimestamp());
        vm.assertEq(session.lastProofTime, vm.getBlockTimestamp());
        vm.assertEq(session.interval, ask.interval);
        vm.assertEq(session.timeout, ask.timeout);
        vm.assertTrue(session.status == ACTIVE);
        vm.assertEq(market.sessionModel(jobId), modelId);
        vm.assertEq(market.userSessions(depositor, 0), jobId);
        vm.assertEq(market.hostSessions(host, 0), jobId);
    }

    function test_ids_start_at_one_and_follow_each_other() public {
        vm.assertEq(market.nextJobId(), 1);
        vm.assertEq(_open(NATIVE), 1);
        vm.assertEq(_open(address(usdc)), 2);
        vm.assertEq(_openFromDeposit(_ask(NATIVE)), 3);
        vm.assertEq(_openAsDelegate(delegate, _ask(address(usdc))), 4);
        vm.assertEq(market.nextJobId(), 5);
    }

    function test_an_unknown_session_reads_as_id_zero() public view {
        vm.assertEq(_session(99).id, 0);
    }

    function test_direct_payment_moves_exactly_the_deposit() public {
        uint256 native = address(market).balance;
        uint256 tokens = usdc.balanceOf(address(market));
        _open(NATIVE);
        _open(address(usdc));
        vm.assertEq(address(market).balance - native, 0.01 ether);
        vm.assertEq(usdc.balanceOf(address(market)) - tokens, 10e6);
    }

    function test_payment_from_deposit_moves_no_money() public {
        uint256 native = address(market).balance;
        uint256 tokens = usdc.balanceOf(address(market));
        _openFromDeposit(_ask(NATIVE));
        _openFromDeposit(_ask(address(usdc)));
        vm.assertEq(address(market).balance, native);
        vm.assertEq(usdc.balanceOf(address(market)), tokens);
        vm.assertEq(market.userDepositsNative(depositor), 2000 ether - 0.01 ether);
        vm.assertEq(market.userDepositsToken(depositor, address(usdc)), 2_000_000e6 - 10e6);
    }

    function test_direct_payment_emits_both_creation_events() public {
        Ask memory ask = _ask(NATIVE);
        _expectCreated(1, ask);
        _open(ask);
        ask = _ask(address(usdc));
        _expectCreated(2, ask);
        _open(ask);
    }

    function test_payment_from_deposit_also_names_the_depositor() public {
        Ask memory ask = _ask(NATIVE);
        _expectCreated(1, ask);
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionCreatedByDepositor(1, depositor, host, ask.deposit);
        _openFromDeposit(ask);
    }

    function test_a_delegate_opens_sessions_of_the_payer() public {
        Ask memory ask = _ask(address(usdc));
        uint256 before = usdc.balanceOf(depositor);
        _expectCreated(1, ask);
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionCreatedByDelegate(1, depositor, delegate, host, modelId, ask.deposit);
        uint256 jobId = _openAsDelegate(delegate, ask);
        vm.assertEq(_session(jobId).depositor, depositor);
        vm.assertEq(before - usdc.balanceOf(depositor), ask.deposit);
        vm.assertEq(market.userSessions(depositor, 0), jobId);
    }

    function test_the_payer_may_use_the_delegate_path_itself() public {
        vm.assertEq(_session(_openAsDelegate(depositor, _ask(address(usdc)))).depositor, depositor);
    }

    function test_a_delegate_needs_authority() public {
        Ask memory ask = _ask(address(usdc));
        _refuses("Not authorized");
        _openAsDelegate(stranger, ask);
        vm.prank(depositor);
        market.authorizeDelegate(delegate, false);
        _refuses("Not authorized");
        _openAsDelegate(delegate, ask);
    }

    function test_a_delegate_cannot_spend_the_native_currency() public {
        Ask memory ask = _ask(NATIVE);
        _refuses("ERC20 only");
        _openAsDelegate(delegate, ask);
    }

    function test_a_delegate_cannot_complete_the_session() public {
        uint256 jobId = _openAsDelegate(delegate, _ask(address(usdc)));
        _refuses("Only host/depositor");
        _complete(delegate, jobId);
    }

    function test_delegates_are_other_accounts() public {
        vm.startPrank(depositor);
        _refuses("Invalid delegate");
        market.authorizeDelegate(address(0), true);
        _refuses("Self delegate");
        market.authorizeDelegate(depositor, true);
        vm.expectEmit(address(market));
        emit JobMarketplace.DelegateAuthorized(depositor, stranger, true);
        market.authorizeDelegate(stranger, true);
        vm.stopPrank();
        vm.assertTrue(market.isDelegateAuthorized(depositor, stranger));
        vm.assertTrue(market.isAuthorizedDelegate(depositor, stranger));
        vm.assertFalse(market.isDelegateAuthorized(stranger, depositor));
    }

    function test_a_proof_timeout_of_zero_is_the_default() public {
        Ask memory ask = _ask(NATIVE);
        ask.timeout = 0;
        vm.assertEq(_session(_open(ask)).timeout, 300);
    }

    function test_every_path_refuses_a_low_deposit() public {
        Ask memory ask = _ask(NATIVE);
        ask.deposit = 0.0001 ether - 1;
        _refusedInNative(ask, "Low deposit");
        ask = _ask(address(usdc));
        ask.deposit = 499_999;
        _refusedInToken(ask, "Low deposit");
    }

    function test_every_path_refuses_a_large_deposit() public {
        Ask memory ask = _ask(NATIVE);
        ask.deposit = 1000 ether + 1;
        _refusedInNative(ask, "Deposit too large");
        ask = _ask(address(usdc));
        ask.deposit = 1_000_000e6 + 1;
        _refusedInToken(ask, "Deposit too large");
    }

    function test_the_limits_of_a_deposit_are_legal() public {
        Ask memory ask = _ask(address(usdc));
        ask.deposit = 500_000;
        _open(ask);
        ask.deposit = 1_000_000e6;
        _open(ask);
        ask = _ask(NATIVE);
        ask.deposit = 0.0001 ether;
        _open(ask);
        ask.deposit = 1000 ether;
        _open(ask);
    }

    function test_every_path_refuses_a_price_of_zero() public {
        Ask memory ask = _ask(address(usdc));
        ask.price = 0;
        _refusedInToken(ask, "Invalid price");
    }

    function test_every_path_refuses_a_duration_out_of_range() public {
        Ask memory ask = _ask(address(usdc));
        ask.maxDuration = 0;
        _refusedInToken(ask, "Invalid duration");
        ask.maxDuration = 365 days + 1;
        _refusedInToken(ask, "Invalid duration");
    }

    function test_every_path_refuses_a_proof_interval_out_of_range() public {
        Ask memory ask = _ask(address(usdc));
        ask.interval = 0;
        _refusedInToken(ask, "Invalid proof interval");
        ask.interval = 99;
        _refusedInToken(ask, "Proof interval too small");
        ask.interval = ask.deposit * 1000 / ask.price + 1;
        _refusedInToken(ask, "Deposit too small for proof interval");
    }

    function test_every_path_refuses_a_proof_timeout_out_of_range() public {
        Ask memory ask = _ask(address(usdc));
        ask.timeout = 59;
        _refusedInToken(ask, "Proof timeout");
        ask.timeout = 3601;
        _refusedInToken(ask, "Proof timeout");
    }

    function test_every_path_refuses_a_host_that_is_none() public {
        Ask memory ask = _ask(address(usdc));
        ask.host = address(0);
        _refusedInToken(ask, "Invalid host");
        ask.host = stranger;
        _refusedInToken(ask, "Host not registered");
    }

    function test_every_path_refuses_a_host_that_is_not_active() public {
        _makeInactive(host);
        _refusedInToken(_ask(address(usdc)), "Host not active");
    }

    function test_every_path_refuses_a_model_the_host_does_not_serve() public {
        Ask memory ask = _ask(address(usdc));
        ask.modelId = keccak256("another");
        _refusedInToken(ask, "Model unsupported");
    }

    function test_every_path_refuses_a_price_below_the_hosts() public {
        Ask memory ask = _ask(address(usdc));
        ask.price -= 1;
        _refusedInToken(ask, "Price < model min");
        ask = _ask(NATIVE);
        ask.price -= 1;
        _refusedInNative(ask, "Price < model min");
    }

    function test_every_path_refuses_a_pair_without_price() public {
        vm.startPrank(host);
        nodes.clearModelTokenPricing(modelId, address(usdc));
        nodes.clearModelTokenPricing(modelId, NATIVE);
        vm.stopPrank();
        _refusedInToken(_ask(address(usdc)), "No model pricing");
        _refusedInNative(_ask(NATIVE), "No model pricing");
    }

    function test_a_price_above_the_hosts_is_legal() public {
        Ask memory ask = _ask(address(usdc));
        ask.price += 1;
        _open(ask);
    }

    function test_every_path_refuses_a_token_that_is_not_accepted() public {
        Ask memory ask = _ask(address(usdc));
        ask.token = address(fab);
        _refusedInToken(ask, "Token not accepted");
        ask.token = NATIVE;
        vm.prank(depositor);
        _refuses("Token not accepted");
        market.createSessionJobForModelWithToken(host, modelId, NATIVE, 10e6, 5000, 1 days, 100, 300);
    }

    function test_a_deposit_pays_only_what_it_holds() public {
        Ask memory ask = _ask(NATIVE);
        ask.deposit = 900 ether;
        _openFromDeposit(ask);
        _openFromDeposit(ask);
        _refuses("Insufficient native balance");
        _openFromDeposit(ask);
        ask = _ask(address(usdc));
        ask.deposit = 1_000_000e6;
        _openFromDeposit(ask);
        _openFromDeposit(ask);
        _refuses("Insufficient token balance");
        _openFromDeposit(ask);
    }

    function test_native_money_sent_without_a_purpose_is_refused() public {
        vm.prank(depositor);
        (bool ok,) = address(market).call{value: 1 ether}("");
        vm.assertFalse(ok);
    }

    function test_a_paused_marketplace_opens_nothing() public {
        market.pause();
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        _open(NATIVE);
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        _open(address(usdc));
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        _openFromDeposit(_ask(NATIVE));
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        _openAsDelegate(delegate, _ask(address(usdc)));
        market.unpause();
        _open(NATIVE);
    }

    function test_a_token_that_keeps_a_fee_is_refused() public {
        Ask memory ask = _ask(address(new Skimming()));
        market.addAcceptedToken(ask.token, 1, 100e6);
        vm.prank(host);
        nodes.setModelTokenPricing(modelId, ask.token, USDC_PRICE);
        _refuses("Short transfer");
        _open(ask);
        _refuses("Short transfer");
        vm.prank(depositor);
        market.depositToken(ask.token, 10e6);
    }

    function testFuzz_a_session_is_opened_exactly_when_the_deposit_affords_an_interval(uint256 deposit, uint256 price)
        public
    {
        Ask memory ask = _ask(address(usdc));
        ask.deposit = bound(deposit, 500_000, 1_000_000e6);
        ask.price = bound(price, USDC_PRICE, 1e18);
        ask.interval = 1000;
        if (ask.deposit * 1000 / ask.price < 1000) _refuses("Deposit too small for proof interval");
        _open(ask);
    }

    function _expectCreated(uint256 jobId, Ask memory ask) private {
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionJobCreated(jobId, depositor, host, ask.deposit);
        vm.expectEmit(address(market));
        emit JobMarketplace.SessionJobCreatedForModel(jobId, depositor, host, modelId, ask.deposit);
    }

    function _refusedInNative(Ask memory ask, string memory text) private {
        _refuses(text);
        _open(ask);
        _refuses(text);
        _openFromDeposit(ask);
    }

    function _refusedInToken(Ask memory ask, string memory text) private {
        _refuses(text);
        _open(ask);
        _refuses(text);
        _openFromDeposit(ask);
        _refuses(text);
        _openAsDelegate(delegate, ask);
    }
}

/// @notice Delivers one unit less than asked.
contract Skimming {
    mapping(address => uint256) public balanceOf;

    function transferFrom(address, address to, uint256 amount) external returns (bool) {
        balanceOf[to] += amount - 1;
        return true;
    }
}
