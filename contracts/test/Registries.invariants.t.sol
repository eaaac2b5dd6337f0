// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {FuzzSelector, Test} from "./Foundry.sol";
import {RegistriesHandler} from "./RegistriesHandler.sol";

contract RegistriesInvariants is Test {
    RegistriesHandler private _handler;

    function setUp() public {
        _handler = new RegistriesHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](11);
        selectors[0] = RegistriesHandler.register.selector;
        selectors[1] = RegistriesHandler.changeModels.selector;
        selectors[2] = RegistriesHandler.unregister.selector;
        selectors[3] = RegistriesHandler.stake.selector;
        selectors[4] = RegistriesHandler.slash.selector;
        selectors[5] = RegistriesHandler.propose.selector;
        selectors[6] = RegistriesHandler.vote.selector;
        selectors[7] = RegistriesHandler.execute.selector;
        selectors[8] = RegistriesHandler.wait.selector;
        selectors[9] = RegistriesHandler.withdrawVotes.selector;
        selectors[10] = RegistriesHandler.withdrawFees.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_handler), selectors);
    }

    function invariant_fab_held_is_stakes_votes_and_fees() public view {
        (uint256 byNodes, uint256 byModels) = _handler.fabHeld();
        vm.assertEq(byNodes, _handler.stakes(), "stakes");
        vm.assertEq(_handler.votesHeld(), _handler.votesCast() - _handler.votesReturned(), "votes");
        vm.assertEq(byModels, _handler.votesHeld() + _handler.openFees() + _handler.rejectedFees(), "fees");
    }

    function invariant_lists_name_exactly_the_hosts_they_should() public view {
        vm.assertTrue(_handler.listsAgree(), "lists");
    }

    function test_the_crowd_reaches_slashes_and_both_decisions() public {
        for (uint256 i = 0; i < 14; ++i) {
            if (i < 3) _handler.register(i);
            if (i > 3 && i < 6) _handler.slash(i, 1e18);
            _handler.vote(i, 110_000e18, 0, i % 4 > 1);
            if (i % 2 > 0) _handler.wait(4 days);
        }
        vm.assertGt(_handler.slashed(), 0);
        vm.assertGt(_handler.approved(), 0);
        vm.assertGt(_handler.rejected(), 0);
    }

    /// @dev What a run must have reached, or the invariants above say nothing.
    function afterInvariant() public view {
        vm.assertGt(_handler.registered(), 0, "registered");
        vm.assertGt(_handler.left(), 0, "left");
        vm.assertGt(_handler.approved() + _handler.rejected(), 0, "decided");
        vm.assertGt(_handler.votesCast(), 0, "votes");
    }
}
