// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice The table of spent proof hashes.
interface IProofSystem {
    /// @return False when the hash was spent before.
    function markProofUsed(bytes32 proofHash, address prover, uint256 claimedTokens, bytes32 modelId)
        external
        returns (bool);
}
