// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice What the marketplace asks the registry of hosts.
interface INodeRegistry {
    /// @return operator Zero when the address is not a host.
    function getNodeFullInfo(address host)
        external
        view
        returns (
            address operator,
            uint256 stakedAmount,
            bool active,
            string memory metadata,
            string memory apiUrl,
            bytes32[] memory modelIds,
            uint256 minPricePerTokenNative,
            uint256 minPricePerTokenStable
        );

    function nodeSupportsModel(address host, bytes32 modelId) external view returns (bool);

    /// @dev Reverts when the host has set no price for this model in this token.
    function getModelPricing(address host, bytes32 modelId, address token) external view returns (uint256);

    function modelRegistry() external view returns (address);
}
