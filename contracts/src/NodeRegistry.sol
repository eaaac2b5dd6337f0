// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {Hosts} from "./nodes/Hosts.sol";
import {Pricing} from "./nodes/Pricing.sol";
import {Slashing} from "./nodes/Slashing.sol";

/// @title Registry of hosts
/// @notice Who serves which models, where, at which price, with how much FAB at stake.
contract NodeRegistry is Initializable, UUPSUpgradeable, Hosts, Pricing, Slashing {
    event ModelRegistryUpdated(address indexed newRegistry);
    event CorruptNodeRepaired(address indexed operator, uint256 stakeReturned);

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    function initialize(address _fabToken, address _modelRegistry) external initializer {
        require(_fabToken != address(0), "Invalid token");
        require(_modelRegistry != address(0), "Invalid model registry");
        __Ownable_init(msg.sender);
        fabToken = IERC20(_fabToken);
        modelRegistry = IModelRegistry(_modelRegistry);
    }

    function updateModelRegistry(address newRegistry) external onlyOwner {
        require(newRegistry != address(0), "Invalid model registry");
        modelRegistry = IModelRegistry(newRegistry);
        emit ModelRegistryUpdated(newRegistry);
    }

    /// @notice Removes a node whose record contradicts itself, and returns its stake.
    /// @dev No function here leads to such a record; an upgrade from another layout could.
    /// Inference: corrupt means recorded, but inactive or absent from the list of active nodes.
    function repairCorruptNode(address nodeAddress) external onlyOwner nonReentrant {
        require(nodes[nodeAddress].operator != address(0), "Not registered");
        require(!nodes[nodeAddress].active || !_isListed(nodeAddress), "Node not corrupt");
        emit CorruptNodeRepaired(nodeAddress, nodes[nodeAddress].stakedAmount);
        _remove(nodeAddress);
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}
}
