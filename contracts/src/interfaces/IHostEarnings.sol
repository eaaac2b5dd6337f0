// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice The ledger that hosts withdraw from.
interface IHostEarnings {
    /// @dev The funds must have arrived before the call.
    function creditEarnings(address host, uint256 amount, address token) external;
}
