// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {World} from "./World.sol";

/// @notice Uses the two registries as a crowd would: hosts that come, go and are slashed, models that are proposed,
/// voted on and decided.
contract RegistriesHandler is World {
    address[4] public accounts;
    bytes32[8] public proposals;
    bytes32 private _secondModel;

    uint256 public registered;
    uint256 public slashed;
    uint256 public left;
    uint256 public approved;
    uint256 public rejected;
    uint256 public openFees;
    uint256 public votesCast;
    uint256 public votesReturned;

    constructor() {
        setUp();
        nodes.initializeSlashing(treasury);
        models.addTrustedModel("repo", "second", "sha");
        _secondModel = models.getModelId("repo", "second");
        for (uint256 i = 0; i < 4; ++i) {
            accounts[i] = i == 0 ? host : makeAddr(string.concat("account ", _digit(i)));
            fab.mint(accounts[i], 10_000_000e18);
            vm.startPrank(accounts[i]);
            fab.approve(address(nodes), type(uint256).max);
            fab.approve(address(models), type(uint256).max);
            vm.stopPrank();
        }
        for (uint256 i = 0; i < 8; ++i) {
            proposals[i] = models.getModelId("proposed", _digit(i));
        }
    }

    function register(uint256 seed) external {
        seed = _mix(seed);
        bytes32[] memory ids = new bytes32[](1 + seed / 4 % 3);
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = (seed >> i) & 16 == 0 ? modelId : _secondModel;
        }
        uint256 first = seed % 4;
        for (uint256 i = 0; i < 4 && nodes.isActiveNode(accounts[seed % 4]); ++i) {
            seed = first + i;
        }
        vm.prank(accounts[seed % 4]);
        nodes.registerNode("{}", "url", ids, 227_273, 1);
        registered += 1;
    }

    function changeModels(uint256 seed) external {
        seed = _mix(seed);
        bytes32 id = seed / 4 % 2 == 0 ? modelId : _secondModel;
        vm.prank(accounts[seed % 4]);
        nodes.updateSupportedModels(_one(id));
    }

    function unregister(uint256 seed) external {
        seed = _mix(seed);
        vm.prank(accounts[seed % 4]);
        nodes.unregisterNode();
        left += 1;
    }

    function stake(uint256 seed, uint256 amount) external {
        seed = _mix(seed);
        vm.prank(accounts[seed % 4]);
        nodes.stake(bound(amount, 1, 1000e18));
    }

    function slash(uint256 seed, uint256 amount) external {
        seed = _mix(seed);
        address account = accounts[seed % 4];
        skip(24 hours);
        nodes.slashStake(account, bound(amount, 1, stakeOf(account) / 2), "evidence", "reason");
        slashed += 1;
    }

    function propose(uint256 seed) public {
        seed = _mix(seed);
        uint256 which = seed / 4 % 8;
        for (uint256 i = 0; i < 8 && !_proposable(proposals[which]); ++i) {
            which = (which + 1) % 8;
        }
        vm.prank(accounts[seed % 4]);
        models.proposeModel("proposed", _digit(which), "sha");
        openFees += 100e18;
    }

    function vote(uint256 seed, uint256 amount, uint256 delay, bool support) external {
        seed = _mix(seed);
        skip(bound(delay, 0, 12 hours));
        amount = bound(amount, 1, 120_000e18);
        bytes32 id = _chooseOpen(seed);
        (,,,,,,, uint256 end,) = models.proposals(id);
        if (vm.getBlockTimestamp() > end) {
            _decide(id);
            id = _chooseOpen(seed);
        }
        vm.prank(accounts[seed % 4]);
        models.voteOnProposal(id, amount, support);
        votesCast += amount;
    }

    function execute(uint256 seed) external {
        seed = _mix(seed);
        bytes32 id = _chooseOpen(seed);
        skip(bound(seed, 2 days, 7 days));
        _decide(id);
    }

    function wait(uint256 time) external {
        skip(bound(time, 1 days, 31 days));
    }

    function withdrawVotes(uint256 seed) external {
        seed = _mix(seed);
        address account;
        bytes32 id;
        uint256 amount;
        for (uint256 i = 0; i < 32 && amount == 0; ++i) {
            account = accounts[(seed % 32 + i) % 4];
            id = proposals[(seed % 32 + i) / 4 % 8];
            amount = models.votes(id, account);
        }
        vm.prank(account);
        models.withdrawVotes(id);
        votesReturned += amount;
    }

    function withdrawFees(uint256 amount) external {
        models.withdrawRejectedFees(bound(amount, 1, models.accumulatedRejectedFees()));
    }

    function stakeOf(address account) public view returns (uint256 amount) {
        (, amount,,,,,,) = nodes.getNodeFullInfo(account);
    }

    function stakes() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 4; ++i) {
            sum += stakeOf(accounts[i]);
        }
    }

    function votesHeld() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 32; ++i) {
            sum += models.votes(proposals[i / 4], accounts[i % 4]);
        }
    }

    function rejectedFees() external view returns (uint256) {
        return models.accumulatedRejectedFees();
    }

    function fabHeld() external view returns (uint256 byNodes, uint256 byModels) {
        return (fab.balanceOf(address(nodes)), fab.balanceOf(address(models)));
    }

    /// @return True when every list names exactly the hosts it should, at the places it says.
    function listsAgree() external view returns (bool) {
        address[] memory active = nodes.getAllActiveNodes();
        uint256 count;
        for (uint256 i = 0; i < 4; ++i) {
            if (!nodes.isActiveNode(accounts[i])) continue;
            count += 1;
            if (active[nodes.activeNodesIndex(accounts[i])] != accounts[i]) return false;
        }
        return count == active.length && _modelListAgrees(modelId) && _modelListAgrees(_secondModel);
    }

    function _modelListAgrees(bytes32 id) private view returns (bool) {
        address[] memory listed = nodes.getNodesForModel(id);
        uint256 count;
        for (uint256 i = 0; i < 4; ++i) {
            bool names;
            bytes32[] memory ids = nodes.getNodeModels(accounts[i]);
            for (uint256 j = 0; j < ids.length; ++j) {
                if (ids[j] == id) names = true;
            }
            if (names != nodes.nodeSupportsModel(accounts[i], id)) return false;
            if (!names) continue;
            count += 1;
            uint256 found;
            for (uint256 j = 0; j < listed.length; ++j) {
                if (listed[j] == accounts[i]) found += 1;
            }
            if (found != 1) return false;
        }
        return count == listed.length;
    }

    function _decide(bytes32 id) private {
        models.executeProposal(id);
        openFees -= 100e18;
        if (models.isModelApproved(id)) approved += 1;
        else rejected += 1;
    }

    function _proposable(bytes32 id) private view returns (bool) {
        bytes32[] memory open = models.getActiveProposals();
        for (uint256 i = 0; i < open.length; ++i) {
            if (open[i] == id) return false;
        }
        uint256 decided = models.lastProposalExecutionTime(id);
        return !models.isModelApproved(id) && (decided == 0 || vm.getBlockTimestamp() >= decided + 30 days);
    }

    /// @dev Proposes when nothing is open.
    function _chooseOpen(uint256 seed) private returns (bytes32) {
        if (models.getActiveProposals().length == 0) propose(seed);
        bytes32[] memory open = models.getActiveProposals();
        return open[seed % open.length];
    }

    function _digit(uint256 value) private pure returns (string memory) {
        return string(abi.encodePacked(bytes("0123456789")[value]));
    }
}
