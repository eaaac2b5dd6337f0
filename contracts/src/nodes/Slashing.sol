// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {NodeState} from "./NodeState.sol";

/// @title Slashing
/// @notice One authority judges evidence off chain and takes part of a host's stake.
/// @dev Invariants: one slash takes at most half of the stake, and a host is slashed at most once a day, also when it
/// leaves and returns in between.
abstract contract Slashing is NodeState {
    using SafeERC20 for IERC20;

    event SlashExecuted(
        address indexed host,
        uint256 amount,
        uint256 remainingStake,
        string evidenceCID,
        string reason,
        address indexed executor,
        uint256 timestamp
    );
    event HostAutoUnregistered(address indexed host, uint256 slashedAmount, uint256 returnedAmount, string reason);
    event SlashingAuthorityUpdated(address indexed previousAuthority, address indexed newAuthority);
    event TreasuryUpdated(address indexed newTreasury);

    /// @notice Turns slashing on, once. The owner is the first authority.
    function initializeSlashing(address _treasury) external onlyOwner {
        require(slashingAuthority == address(0), "Already initialized");
        require(_treasury != address(0), "Invalid treasury");
        slashingAuthority = msg.sender;
        treasury = _treasury;
        emit SlashingAuthorityUpdated(address(0), msg.sender);
        emit TreasuryUpdated(_treasury);
    }

    /// @dev Inference: only after `initializeSlashing`, which would refuse to run with an authority set.
    function setSlashingAuthority(address newAuthority) external onlyOwner {
        require(slashingAuthority != address(0), "Not initialized");
        require(newAuthority != address(0), "Invalid authority");
        emit SlashingAuthorityUpdated(slashingAuthority, newAuthority);
        slashingAuthority = newAuthority;
    }

    function setTreasury(address newTreasury) external onlyOwner {
        require(newTreasury != address(0), "Invalid treasury");
        treasury = newTreasury;
        emit TreasuryUpdated(newTreasury);
    }

    /// @notice Sends part of a host's stake to the treasury. A host left with too little is unregistered and paid the
    /// rest.
    function slashStake(address host, uint256 amount, string calldata evidenceCID, string calldata reason)
        external
        nonReentrant
    {
        require(msg.sender == slashingAuthority, "Not slashing authority");
        Node storage node = nodes[host];
        require(node.active, "Node not active");
        require(amount > 0, "Zero amount");
        require(bytes(evidenceCID).length > 0, "Empty evidence");
        require(bytes(reason).length > 0, "Empty reason");
        require(amount <= node.stakedAmount * MAX_SLASH_PERCENTAGE / 100, "Slash too large");
        uint256 last = lastSlashTime[host];
        require(last == 0 || block.timestamp >= last + SLASH_COOLDOWN, "Slash cooldown");

        uint256 remaining = node.stakedAmount - amount;
        node.stakedAmount = remaining;
        lastSlashTime[host] = block.timestamp;
        emit SlashExecuted(host, amount, remaining, evidenceCID, reason, msg.sender, block.timestamp);
        if (remaining < MIN_STAKE_AFTER_SLASH) {
            emit HostAutoUnregistered(host, amount, remaining, reason);
            _remove(host);
        }
        fabToken.safeTransfer(treasury, amount);
    }
}
