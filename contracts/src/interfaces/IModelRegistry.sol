// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice What hosts' registry and the marketplace ask the registry of models.
interface IModelRegistry {
    function isModelApproved(bytes32 modelId) external view returns (bool);

    /// @return Tokens per second that a session of this model may claim.
    function getModelRateLimit(bytes32 modelId) external view returns (uint256);
}
