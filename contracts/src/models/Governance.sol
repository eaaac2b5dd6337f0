// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {ModelState} from "./ModelState.sol";

/// @title Models proposed by anyone and decided by FAB
/// @notice propose (fee) -> vote (3 days, longer after a late rush) -> execute -> withdraw votes.
/// @dev Votes of an earlier proposal of the same model count for nothing in a later one, but share its lock.
abstract contract Governance is ModelState {
    using SafeERC20 for IERC20;

    event ModelProposed(bytes32 indexed modelId, address indexed proposer, string huggingfaceRepo);
    event VoteCast(bytes32 indexed modelId, address indexed voter, uint256 amount, bool support);
    event VotingExtended(bytes32 indexed modelId, uint256 newEndTime, uint8 extensionCount);
    event ProposalExecuted(bytes32 indexed modelId, bool approved);
    event RejectedFeesWithdrawn(address indexed recipient, uint256 amount);

    /// @notice Proposes a model. Takes `PROPOSAL_FEE`, which is returned on approval.
    function proposeModel(string calldata huggingfaceRepo, string calldata fileName, bytes32 sha256Hash)
        external
        nonReentrant
    {
        (bytes32 modelId, Model memory model) = _newModel(huggingfaceRepo, fileName, sha256Hash, TIER_COMMUNITY);
        ModelProposal storage proposal = proposals[modelId];
        require(proposal.proposalTime == 0 || proposal.executed, "Proposal exists");
        uint256 decided = lastProposalExecutionTime[modelId];
        require(decided == 0 || block.timestamp >= decided + REPROPOSAL_COOLDOWN, "Proposal cooldown");

        proposals[modelId] = ModelProposal({
            modelId: modelId,
            proposer: msg.sender,
            votesFor: 0,
            votesAgainst: 0,
            proposalTime: block.timestamp,
            executed: false,
            modelData: model,
            endTime: block.timestamp + PROPOSAL_DURATION,
            extensionCount: 0
        });
        _proposalPlace[modelId] = activeProposals.length;
        activeProposals.push(modelId);
        emit ModelProposed(modelId, msg.sender, huggingfaceRepo);
        governanceToken.safeTransferFrom(msg.sender, address(this), PROPOSAL_FEE);
    }

    /// @notice Locks `amount` FAB for or against. Votes add up and cannot be changed.
    function voteOnProposal(bytes32 modelId, uint256 amount, bool support) external nonReentrant {
        ModelProposal storage proposal = _open(modelId);
        require(block.timestamp <= proposal.endTime, "Voting ended");
        require(amount > 0, "Zero amount");

        votes[modelId][msg.sender] += amount;
        if (support) proposal.votesFor += amount;
        else proposal.votesAgainst += amount;
        emit VoteCast(modelId, msg.sender, amount, support);
        _extendIfLate(proposal, amount);
        governanceToken.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Decides a proposal whose voting has ended. Anyone may call.
    /// @dev A model that the owner added in the meantime keeps the owner's entry.
    function executeProposal(bytes32 modelId) external nonReentrant {
        ModelProposal storage proposal = _open(modelId);
        require(block.timestamp > proposal.endTime, "Voting not ended");

        bool approved = proposal.votesFor >= APPROVAL_THRESHOLD && proposal.votesFor > proposal.votesAgainst;
        proposal.executed = true;
        lastProposalExecutionTime[modelId] = block.timestamp;
        delete lateVotes[modelId];
        _close(modelId);
        emit ProposalExecuted(modelId, approved);

        if (approved) {
            if (!_exists(modelId)) _addModel(modelId, proposal.modelData);
            governanceToken.safeTransfer(proposal.proposer, PROPOSAL_FEE);
        } else {
            accumulatedRejectedFees += PROPOSAL_FEE;
        }
    }

    /// @notice Returns the caller's votes once the proposal is decided, or 7 days after its end.
    function withdrawVotes(bytes32 modelId) external nonReentrant {
        uint256 amount = votes[modelId][msg.sender];
        require(amount > 0, "No votes");
        ModelProposal storage proposal = proposals[modelId];
        require(proposal.executed || block.timestamp > proposal.endTime + VOTE_LOCK, "Votes locked");
        votes[modelId][msg.sender] = 0;
        governanceToken.safeTransfer(msg.sender, amount);
    }

    function withdrawRejectedFees(uint256 amount) external onlyOwner nonReentrant {
        require(amount > 0, "Zero amount");
        require(amount <= accumulatedRejectedFees, "Insufficient fees");
        accumulatedRejectedFees -= amount;
        emit RejectedFeesWithdrawn(msg.sender, amount);
        governanceToken.safeTransfer(msg.sender, amount);
    }

    function getActiveProposals() external view returns (bytes32[] memory) {
        return activeProposals;
    }

    /// @dev Inference: late votes are counted anew after each extension.
    function _extendIfLate(ModelProposal storage proposal, uint256 amount) private {
        if (block.timestamp + EXTENSION_WINDOW < proposal.endTime) return;
        bytes32 modelId = proposal.modelId;
        lateVotes[modelId] += amount;
        if (lateVotes[modelId] < EXTENSION_THRESHOLD || proposal.extensionCount >= MAX_EXTENSIONS) return;
        lateVotes[modelId] = 0;
        proposal.endTime += EXTENSION_DURATION;
        proposal.extensionCount += 1;
        emit VotingExtended(modelId, proposal.endTime, proposal.extensionCount);
    }

    function _close(bytes32 modelId) private {
        uint256 place = _proposalPlace[modelId];
        bytes32 last = activeProposals[activeProposals.length - 1];
        activeProposals[place] = last;
        _proposalPlace[last] = place;
        activeProposals.pop();
        delete _proposalPlace[modelId];
    }

    function _open(bytes32 modelId) private view returns (ModelProposal storage proposal) {
        proposal = proposals[modelId];
        require(proposal.proposalTime != 0, "No proposal");
        require(!proposal.executed, "Already executed");
    }
}
