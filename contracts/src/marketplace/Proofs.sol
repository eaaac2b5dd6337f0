// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {MarketplaceState} from "./MarketplaceState.sol";

/// @title Claims of work
/// @notice A host claims tokens with the hash of a proof that lies elsewhere. The proof itself is not checked here.
/// @dev Invariants: the claims of a session never cost more than its deposit, never come faster than the model's
/// rate, and (with a proof system set) never use a hash twice.
abstract contract Proofs is MarketplaceState {
    event ProofSubmitted(
        uint256 indexed jobId,
        address indexed host,
        uint256 tokensClaimed,
        bytes32 proofHash,
        string proofCID,
        string deltaCID
    );

    /// @param tokensClaimed Tokens since the last proof, not since the start.
    /// @param proofHash SHA-256 of the bytes stored at `proofCID`; opaque here.
    /// @dev Only the latest `proofCID` is stored; each proof keeps its `deltaCID`.
    function submitProofOfWork(
        uint256 jobId,
        uint256 tokensClaimed,
        bytes32 proofHash,
        string calldata proofCID,
        string calldata deltaCID
    ) external whenNotPaused nonReentrant {
        require(msg.sender == sessionJobs[jobId].host, "Not host");
        SessionJob storage session = _active(jobId);
        bytes32 modelId = sessionModel[jobId];
        _checkClaim(session, tokensClaimed, modelId);

        bool verified = address(proofSystem) != address(0);
        session.lastProofHash = proofHash;
        session.lastProofCID = proofCID;
        session.proofs.push(ProofSubmission(proofHash, tokensClaimed, block.timestamp, verified, deltaCID));
        session.tokensUsed += tokensClaimed;
        session.lastProofTime = block.timestamp;
        emit ProofSubmitted(jobId, msg.sender, tokensClaimed, proofHash, proofCID, deltaCID);

        if (verified) {
            require(proofSystem.markProofUsed(proofHash, msg.sender, tokensClaimed, modelId), "Proof used");
        }
    }

    function getProofSubmission(uint256 sessionId, uint256 proofIndex)
        external
        view
        returns (bytes32 proofHash, uint256 tokensClaimed, uint256 timestamp, bool verified, string memory deltaCID)
    {
        ProofSubmission[] storage proofs = sessionJobs[sessionId].proofs;
        require(proofIndex < proofs.length, "Bad index");
        ProofSubmission storage proof = proofs[proofIndex];
        return (proof.proofHash, proof.tokensClaimed, proof.timestamp, proof.verified, proof.deltaCID);
    }

    /// @dev Inference: the model's rate is the whole limit, without a factor. The ceiling compares by subtraction,
    /// since the sum of two claims may not fit.
    function _checkClaim(SessionJob storage session, uint256 tokensClaimed, bytes32 modelId) private view {
        require(tokensClaimed >= MIN_PROVEN_TOKENS, "Must claim minimum tokens");
        require(session.tokensUsed > 0 || tokensClaimed >= session.proofInterval, "Low first");
        uint256 rate = IModelRegistry(nodeRegistry.modelRegistry()).getModelRateLimit(modelId);
        require(tokensClaimed <= (block.timestamp - session.lastProofTime) * rate, "Too many");
        uint256 affordable = session.deposit * PRICE_PRECISION / session.pricePerToken;
        require(tokensClaimed <= affordable - session.tokensUsed, "Exceeds deposit");
    }
}
