// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ModelRegistry} from "./Deployed.sol";
import {World} from "./World.sol";

contract ModelRegistryTest is World {
    bytes32 private constant SHA = keccak256("file");
    address private proposer = makeAddr("proposer");
    address private voter = makeAddr("voter");
    bytes32 private proposed;

    function setUp() public override {
        super.setUp();
        proposed = models.getModelId("repo", "file.gguf");
        for (uint256 i = 0; i < 2; ++i) {
            address account = i == 0 ? proposer : voter;
            fab.mint(account, 1_000_000e18);
            vm.prank(account);
            fab.approve(address(models), type(uint256).max);
        }
    }

    function test_the_constants_are_the_documented_ones() public view {
        vm.assertEq(models.PROPOSAL_DURATION(), 3 days);
        vm.assertEq(models.PROPOSAL_FEE(), 100e18);
        vm.assertEq(models.APPROVAL_THRESHOLD(), 100_000e18);
        vm.assertEq(models.EXTENSION_WINDOW(), 4 hours);
        vm.assertEq(models.EXTENSION_DURATION(), 1 days);
        vm.assertEq(models.EXTENSION_THRESHOLD(), 10_000e18);
        vm.assertEq(models.MAX_EXTENSIONS(), 3);
        vm.assertEq(models.REPROPOSAL_COOLDOWN(), 30 days);
        vm.assertEq(models.DEFAULT_RATE_LIMIT(), 2000);
    }

    function test_a_models_identity_is_known() public view {
        vm.assertEq(
            models.getModelId("CohereForAI/TinyVicuna-1B-32k-GGUF", "tiny-vicuna-1b.q4_k_m.gguf"),
            0x0b75a2061e70e736924a30c0a327db7ab719402129f76f631adbd7b7a5a5bced
        );
        vm.assertEq(
            models.getModelId("TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF", "tinyllama-1b.Q4_K_M.gguf"),
            0x14843424179fbcb9aeb7fd446fa97143300609757bd49ffb3ec7fb2f75aed1ca
        );
        vm.assertEq(
            models.getModelId("bartowski/openai_gpt-oss-20b-GGUF", "openai_gpt-oss-20b-MXFP4.gguf"),
            0x7583557c14f71d2bf21d48ffb7cde9329f9494090869d2d311ea481b26e7e06c
        );
    }

    // The owner's part

    function test_the_owner_adds_trusted_models() public {
        vm.expectEmit(address(models));
        emit ModelRegistry.ModelAdded(proposed, "repo", "file.gguf", 1);
        models.addTrustedModel("repo", "file.gguf", SHA);
        ModelRegistry.Model memory model = models.getModel(proposed);
        vm.assertEq(model.huggingfaceRepo, "repo");
        vm.assertEq(model.fileName, "file.gguf");
        vm.assertEq(model.sha256Hash, SHA);
        vm.assertEq(model.approvalTier, 1);
        vm.assertTrue(model.active);
        vm.assertEq(model.timestamp, vm.getBlockTimestamp());
        vm.assertEq(models.getModelHash(proposed), SHA);
        vm.assertTrue(models.isModelApproved(proposed));
        vm.assertTrue(models.isTrustedModel(proposed));
        vm.assertEq(models.getAllModels()[1], proposed);
        vm.assertEq(models.modelList(1), proposed);
    }

    function test_a_model_is_added_once_and_whole() public {
        models.addTrustedModel("repo", "file.gguf", SHA);
        _refuses("Model exists");
        models.addTrustedModel("repo", "file.gguf", SHA);
        _refuses("Empty name");
        models.addTrustedModel("", "file.gguf", SHA);
        _refuses("Empty name");
        models.addTrustedModel("repo", "", SHA);
        _refuses("Empty hash");
        models.addTrustedModel("repo", "other", 0);
        _refusesStranger(stranger);
        models.addTrustedModel("repo", "other", SHA);
    }

    function test_the_owner_adds_several_models_at_once() public {
        string[] memory repos = new string[](2);
        string[] memory files = new string[](2);
        bytes32[] memory hashes = new bytes32[](2);
        (repos[0], repos[1]) = ("a", "b");
        (files[0], files[1]) = ("f", "g");
        (hashes[0], hashes[1]) = (SHA, SHA);
        models.batchAddTrustedModels(repos, files, hashes);
        vm.assertTrue(models.isTrustedModel(models.getModelId("b", "g")));
        _refuses("Length mismatch");
        models.batchAddTrustedModels(repos, files, new bytes32[](1));
        _refuses("Length mismatch");
        models.batchAddTrustedModels(repos, new string[](1), hashes);
        _refusesStranger(stranger);
        models.batchAddTrustedModels(repos, files, hashes);
    }

    function test_the_owner_deactivates_and_reactivates() public {
        vm.expectEmit(address(models));
        emit ModelRegistry.ModelDeactivated(modelId);
        models.deactivateModel(modelId);
        vm.assertFalse(models.isModelApproved(modelId));
        vm.assertFalse(models.isTrustedModel(modelId));
        _refuses("Model not active");
        models.deactivateModel(modelId);
        vm.expectEmit(address(models));
        emit ModelRegistry.ModelReactivated(modelId);
        models.reactivateModel(modelId);
        _refuses("Model active");
        models.reactivateModel(modelId);
        _refuses("Unknown model");
        models.deactivateModel(proposed);
        _refuses("Unknown model");
        models.reactivateModel(proposed);
        _refusesStranger(stranger);
        models.deactivateModel(modelId);
        _refusesStranger(stranger);
        models.reactivateModel(modelId);
    }

    function test_the_owner_limits_a_models_rate() public {
        vm.assertEq(models.getModelRateLimit(modelId), 2000);
        vm.expectEmit(address(models));
        emit ModelRegistry.ModelRateLimitUpdated(modelId, 500);
        models.setModelRateLimit(modelId, 500);
        vm.assertEq(models.getModelRateLimit(modelId), 500);
        vm.assertEq(models.modelMaxTokensPerSecond(modelId), 500);
        models.setModelRateLimit(modelId, 0);
        vm.assertEq(models.getModelRateLimit(modelId), 2000);
        uint256 low = models.MIN_RATE_LIMIT();
        uint256 high = models.MAX_RATE_LIMIT();
        models.setModelRateLimit(modelId, low);
        models.setModelRateLimit(modelId, high);
        _refuses("Invalid rate limit");
        models.setModelRateLimit(modelId, low - 1);
        _refuses("Invalid rate limit");
        models.setModelRateLimit(modelId, high + 1);
        _refuses("Unknown model");
        models.setModelRateLimit(proposed, 500);
        _refusesStranger(stranger);
        models.setModelRateLimit(modelId, 500);
    }

    // Proposals

    function test_anyone_proposes_for_a_fee() public {
        vm.expectEmit(address(models));
        emit ModelRegistry.ModelProposed(proposed, proposer, "repo");
        _propose();
        vm.assertEq(fab.balanceOf(address(models)), 100e18);
        vm.assertEq(models.getActiveProposals(), _one(proposed));
        (bytes32 id, address by,,, uint256 time, bool executed, ModelRegistry.Model memory model, uint256 end,) =
            models.proposals(proposed);
        vm.assertEq(id, proposed);
        vm.assertEq(by, proposer);
        vm.assertEq(time, vm.getBlockTimestamp());
        vm.assertFalse(executed);
        vm.assertEq(model.sha256Hash, SHA);
        vm.assertEq(end, vm.getBlockTimestamp() + 3 days);
        vm.assertFalse(models.isModelApproved(proposed));
    }

    function test_a_model_is_proposed_once_at_a_time() public {
        _propose();
        _refuses("Proposal exists");
        _propose();
        _refuses("Model exists");
        vm.prank(proposer);
        models.proposeModel("CohereForAI/TinyVicuna-1B-32k-GGUF", "tiny-vicuna-1b.q4_k_m.gguf", SHA);
        vm.startPrank(proposer);
        _refuses("Empty name");
        models.proposeModel("", "f", SHA);
        _refuses("Empty hash");
        models.proposeModel("r", "f", 0);
    }

    function test_an_approved_model_is_added_and_its_fee_returned() public {
        _propose();
        vm.expectEmit(address(models));
        emit ModelRegistry.VoteCast(proposed, voter, 100_000e18, true);
        _vote(100_000e18, true);
        skip(3 days);
        _refuses("Voting not ended");
        models.executeProposal(proposed);
        skip(1);
        vm.expectEmit(address(models));
        emit ModelRegistry.ProposalExecuted(proposed, true);
        vm.expectEmit(address(models));
        emit ModelRegistry.ModelAdded(proposed, "repo", "file.gguf", 2);
        models.executeProposal(proposed);
        vm.assertTrue(models.isModelApproved(proposed));
        vm.assertFalse(models.isTrustedModel(proposed));
        vm.assertEq(fab.balanceOf(proposer), 1_000_000e18);
        vm.assertEq(models.getActiveProposals().length, 0);
        vm.assertEq(models.lastProposalExecutionTime(proposed), vm.getBlockTimestamp());
        _refuses("Already executed");
        models.executeProposal(proposed);
    }

    function test_too_few_votes_reject() public {
        _propose();
        _vote(100_000e18 - 1, true);
        _decide(false);
    }

    function test_as_many_against_as_for_reject() public {
        _propose();
        _vote(100_000e18, true);
        _vote(100_000e18, false);
        _decide(false);
    }

    function test_more_for_than_against_approve() public {
        _propose();
        _vote(100_001e18, true);
        _vote(100_000e18, false);
        _decide(true);
    }

    function test_the_owners_model_stays_the_owners() public {
        _propose();
        _vote(100_000e18, true);
        models.addTrustedModel("repo", "file.gguf", SHA);
        _decide(true);
        vm.assertTrue(models.isTrustedModel(proposed));
        vm.assertEq(models.getAllModels().length, 2);
        vm.assertEq(fab.balanceOf(proposer), 1_000_000e18);
    }

    function test_a_rejected_models_fee_goes_to_the_owner() public {
        _propose();
        _decide(false);
        vm.assertEq(models.accumulatedRejectedFees(), 100e18);
        _refuses("Insufficient fees");
        models.withdrawRejectedFees(100e18 + 1);
        _refuses("Zero amount");
        models.withdrawRejectedFees(0);
        vm.expectEmit(address(models));
        emit ModelRegistry.RejectedFeesWithdrawn(address(this), 40e18);
        models.withdrawRejectedFees(40e18);
        models.withdrawRejectedFees(60e18);
        vm.assertEq(fab.balanceOf(address(this)), 100e18);
        _refusesStranger(stranger);
        models.withdrawRejectedFees(1);
    }

    function test_a_rejected_model_waits_before_it_is_proposed_again() public {
        _propose();
        _decide(false);
        skip(30 days - 1);
        _refuses("Proposal cooldown");
        _propose();
        skip(1);
        _propose();
    }

    function test_votes_are_for_open_proposals() public {
        _refuses("No proposal");
        _vote(1, true);
        _refuses("No proposal");
        models.executeProposal(proposed);
        _propose();
        _refuses("Zero amount");
        _vote(0, true);
        skip(3 days);
        _vote(1, true);
        skip(1);
        _refuses("Voting ended");
        _vote(1, true);
        models.executeProposal(proposed);
        _refuses("Already executed");
        _vote(1, true);
    }

    function test_votes_are_locked_until_the_decision() public {
        _propose();
        _vote(5e18, true);
        _vote(6e18, false);
        vm.assertEq(models.votes(proposed, voter), 11e18);
        vm.prank(voter);
        _refuses("Votes locked");
        models.withdrawVotes(proposed);
        _decide(false);
        vm.startPrank(voter);
        models.withdrawVotes(proposed);
        vm.assertEq(fab.balanceOf(voter), 1_000_000e18);
        _refuses("No votes");
        models.withdrawVotes(proposed);
    }

    function test_votes_for_a_proposal_nobody_decides_unlock_after_a_week() public {
        _propose();
        _vote(5e18, true);
        skip(10 days);
        vm.startPrank(voter);
        _refuses("Votes locked");
        models.withdrawVotes(proposed);
        skip(1);
        models.withdrawVotes(proposed);
        vm.assertEq(fab.balanceOf(voter), 1_000_000e18);
    }

    function test_old_votes_count_for_nothing_in_a_new_proposal() public {
        _propose();
        _vote(99_999e18, true);
        _decide(false);
        skip(30 days);
        _propose();
        (,, uint256 inFavour,,,,,,) = models.proposals(proposed);
        vm.assertEq(inFavour, 0);
        vm.prank(voter);
        _refuses("Votes locked");
        models.withdrawVotes(proposed);
        _decide(false);
        vm.prank(voter);
        models.withdrawVotes(proposed);
        vm.assertEq(fab.balanceOf(voter), 1_000_000e18);
    }

    function test_a_late_rush_extends_the_vote() public {
        _propose();
        uint256 end = vm.getBlockTimestamp() + 3 days;
        skip(3 days - 4 hours - 1);
        _vote(10_000e18, true);
        vm.assertEq(_end(), end);
        skip(1);
        _vote(9_999e18, true);
        vm.assertEq(_end(), end);
        vm.assertEq(models.lateVotes(proposed), 9_999e18);
        vm.expectEmit(address(models));
        emit ModelRegistry.VotingExtended(proposed, end + 1 days, 1);
        _vote(1e18, false);
        vm.assertEq(_end(), end + 1 days);
        vm.assertEq(models.lateVotes(proposed), 0);
    }

    function test_a_vote_is_extended_three_times_at_most() public {
        _propose();
        uint256 end = vm.getBlockTimestamp() + 3 days;
        for (uint256 i = 0; i < 4; ++i) {
            vm.warp(_end());
            _vote(10_000e18, i % 2 == 0);
        }
        vm.assertEq(_end(), end + 3 days);
        skip(1);
        models.executeProposal(proposed);
    }

    function test_open_proposals_close_in_any_order() public {
        bytes32 second = models.getModelId("repo", "second");
        _propose();
        vm.prank(proposer);
        models.proposeModel("repo", "second", SHA);
        skip(3 days + 1);
        models.executeProposal(proposed);
        vm.assertEq(models.getActiveProposals(), _one(second));
        models.executeProposal(second);
        vm.assertEq(models.getActiveProposals().length, 0);
    }

    function testFuzz_the_registry_holds_votes_and_fees(uint96[6] memory amounts, uint8 sides) public {
        _propose();
        uint256 cast;
        for (uint256 i = 0; i < 6; ++i) {
            uint256 amount = bound(amounts[i], 1, 150_000e18);
            _vote(amount, sides >> i & 1 == 1);
            cast += amount;
        }
        vm.assertEq(fab.balanceOf(address(models)), cast + 100e18);
        skip(3 days + 1);
        models.executeProposal(proposed);
        vm.assertEq(fab.balanceOf(address(models)), cast + models.accumulatedRejectedFees());
        vm.prank(voter);
        models.withdrawVotes(proposed);
        vm.assertEq(fab.balanceOf(address(models)), models.accumulatedRejectedFees());
    }

    function _propose() private {
        vm.prank(proposer);
        models.proposeModel("repo", "file.gguf", SHA);
    }

    function _vote(uint256 amount, bool support) private {
        vm.prank(voter);
        models.voteOnProposal(proposed, amount, support);
    }

    function _decide(bool approved) private {
        skip(3 days + 1);
        vm.expectEmit(address(models));
        emit ModelRegistry.ProposalExecuted(proposed, approved);
        models.executeProposal(proposed);
        vm.assertEq(models.isModelApproved(proposed), approved);
    }

    function _end() private view returns (uint256 end) {
        (,,,,,,, end,) = models.proposals(proposed);
    }
}
