// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {FuzzSelector, Test} from "./Foundry.sol";
import {MarketplaceHandler} from "./MarketplaceHandler.sol";
import {World} from "./World.sol";

contract MarketplaceInvariants is Test {
    uint8 private constant ACTIVE = 0;
    MarketplaceHandler private _handler;

    function setUp() public {
        _handler = new MarketplaceHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](16);
        selectors[0] = MarketplaceHandler.deposit.selector;
        selectors[1] = MarketplaceHandler.withdraw.selector;
        selectors[2] = MarketplaceHandler.openDirectly.selector;
        selectors[3] = MarketplaceHandler.openFromDeposit.selector;
        selectors[4] = MarketplaceHandler.openAsDelegate.selector;
        selectors[5] = MarketplaceHandler.changeDelegate.selector;
        selectors[6] = MarketplaceHandler.changeMindAboutMoney.selector;
        selectors[7] = MarketplaceHandler.prove.selector;
        selectors[8] = MarketplaceHandler.replay.selector;
        selectors[9] = MarketplaceHandler.withdrawEarnings.selector;
        selectors[10] = MarketplaceHandler.completeByDepositor.selector;
        selectors[11] = MarketplaceHandler.completeByHost.selector;
        selectors[12] = MarketplaceHandler.timeOut.selector;
        selectors[13] = MarketplaceHandler.withdrawFees.selector;
        selectors[14] = MarketplaceHandler.pauseOrGoOn.selector;
        selectors[15] = MarketplaceHandler.changeSettings.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_handler), selectors);
    }

    function invariant_money_in_is_money_out_and_money_held() public view {
        for (uint256 i = 0; i < 3; ++i) {
            address token = _handler.tokens(i);
            vm.assertEq(
                _handler.moneyIn(token),
                _handler.moneyOut(token) + _handler.heldByMarket(token) + _handler.heldByEarnings(token)
            );
        }
        vm.assertEq(_handler.refundsInPart(), 0, "refunds in part");
    }

    function invariant_the_marketplace_holds_deposits_and_active_sessions_and_fees() public view {
        uint256[3] memory escrow;
        for (uint256 jobId = 1; jobId <= _handler.opened(); ++jobId) {
            World.Session memory session = _handler.session(jobId);
            for (uint256 i = 0; i < 3; ++i) {
                if (session.status == ACTIVE && session.token == _handler.tokens(i)) escrow[i] += session.deposit;
            }
        }
        for (uint256 i = 0; i < 3; ++i) {
            address token = _handler.tokens(i);
            vm.assertEq(
                _handler.heldByMarket(token), _handler.depositBalances(token) + escrow[i] + _handler.treasuryFees(token)
            );
        }
    }

    function invariant_the_ledger_holds_what_hosts_are_owed() public view {
        for (uint256 i = 0; i < 3; ++i) {
            address token = _handler.tokens(i);
            (uint256 sum, uint256 outstanding) = _handler.owedToHosts(token);
            vm.assertEq(_handler.heldByEarnings(token), outstanding);
            vm.assertEq(sum, outstanding);
        }
    }

    function invariant_a_session_keeps_to_its_deposit() public view {
        for (uint256 jobId = 1; jobId <= _handler.opened(); ++jobId) {
            World.Session memory session = _handler.session(jobId);
            vm.assertEq(session.id, jobId);
            uint256 gross = session.tokensUsed * session.price / 1000;
            vm.assertLe(gross, session.deposit, "claims above the deposit");
            if (session.status == ACTIVE) {
                vm.assertEq(session.withdrawnByHost + session.refundedToUser, 0, "paid before the end");
            } else if (session.tokensUsed == 0) {
                vm.assertEq(session.withdrawnByHost + session.refundedToUser, session.deposit);
            } else {
                vm.assertEq(session.refundedToUser, session.deposit - gross);
                vm.assertEq(session.withdrawnByHost, gross - gross / 10);
            }
        }
    }

    function invariant_ids_follow_each_other_and_hashes_are_spent_once() public view {
        vm.assertEq(_handler.idsOutOfOrder(), 0, "ids");
        vm.assertEq(_handler.replaysAccepted(), 0, "replays");
        uint256 recorded;
        for (uint256 jobId = 1; jobId <= _handler.opened(); ++jobId) {
            (uint256 count, uint256 claimed) = _handler.proofsOf(jobId);
            vm.assertEq(claimed, _handler.session(jobId).tokensUsed);
            recorded += count;
        }
        vm.assertEq(recorded, _handler.spentHashCount());
    }

    /// @dev What a run must have reached, or the invariants above say nothing.
    function afterInvariant() public view {
        vm.assertGt(_handler.opened(), 3, "opened");
        vm.assertGt(_handler.spentHashCount(), 0, "proofs");
        vm.assertGt(_handler.settledWithWork(), 0, "settled with work");
        vm.assertGt(_handler.settledWithoutWork(), 0, "settled without work");
    }

    /// @dev The rarer ways, reached once on purpose.
    function test_the_crowd_reaches_every_way_to_end() public {
        for (uint256 i = 0; i < 60; ++i) {
            _handler.openDirectly(i, i, 0);
            _handler.openAsDelegate(i, i, 0);
            if (i % 3 == 0) _handler.completeByDepositor(i, i);
            if (i % 3 == 1) _handler.completeByHost(i, 60, i);
            if (i % 3 == 2) _handler.timeOut(i, 1000);
            _handler.replay(i);
        }
        vm.assertEq(_handler.timedOut(), 20);
        vm.assertEq(_handler.replaysRefused(), 60);
        vm.assertGt(_handler.refundsCredited(), 0);
        vm.assertGt(_handler.settledWithWork(), 0);
        vm.assertGt(_handler.settledWithoutWork(), 0);
        invariant_money_in_is_money_out_and_money_held();
        invariant_the_marketplace_holds_deposits_and_active_sessions_and_fees();
        invariant_a_session_keeps_to_its_deposit();
    }
}
