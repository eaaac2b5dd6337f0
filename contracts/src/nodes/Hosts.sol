// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {NodeState} from "./NodeState.sol";

/// @title Hosts: registering, stake, what they serve
/// @dev Leaving returns the whole stake at once, also with sessions open: there is no unbonding time.
abstract contract Hosts is NodeState {
    using SafeERC20 for IERC20;

    event NodeRegistered(address indexed operator, uint256 stakedAmount, string metadata, bytes32[] models);
    event NodeUnregistered(address indexed operator, uint256 returnedAmount);
    event MetadataUpdated(address indexed operator, string newMetadata);
    event ApiUrlUpdated(address indexed operator, string newApiUrl);
    event ModelsUpdated(address indexed operator, bytes32[] newModels);

    /// @notice Registers the caller as a host. Takes `MIN_STAKE` FAB, which the caller approves first.
    /// @dev The two prices are shown in `getNodeFullInfo` and used for nothing else.
    function registerNode(
        string calldata metadata,
        string calldata apiUrl,
        bytes32[] calldata modelIds,
        uint256 minPricePerTokenNative,
        uint256 minPricePerTokenStable
    ) external nonReentrant {
        Node storage node = nodes[msg.sender];
        require(node.operator == address(0), "Already registered");
        require(bytes(metadata).length > 0, "Empty metadata");
        require(bytes(apiUrl).length > 0, "Empty API URL");
        require(
            minPricePerTokenNative >= MIN_PRICE_PER_TOKEN_NATIVE
                && minPricePerTokenNative <= MAX_PRICE_PER_TOKEN_NATIVE,
            "Invalid native price"
        );
        require(
            minPricePerTokenStable >= MIN_PRICE_PER_TOKEN_STABLE
                && minPricePerTokenStable <= MAX_PRICE_PER_TOKEN_STABLE,
            "Invalid stable price"
        );
        node.operator = msg.sender;
        node.stakedAmount = MIN_STAKE;
        node.active = true;
        node.metadata = metadata;
        node.apiUrl = apiUrl;
        node.minPricePerTokenNative = minPricePerTokenNative;
        node.minPricePerTokenStable = minPricePerTokenStable;
        _addModels(msg.sender, modelIds);
        activeNodesIndex[msg.sender] = activeNodesList.length;
        activeNodesList.push(msg.sender);
        emit NodeRegistered(msg.sender, MIN_STAKE, metadata, modelIds);
        fabToken.safeTransferFrom(msg.sender, address(this), MIN_STAKE);
    }

    function unregisterNode() external onlyRegistered nonReentrant {
        emit NodeUnregistered(msg.sender, nodes[msg.sender].stakedAmount);
        _remove(msg.sender);
    }

    /// @notice Adds to the caller's stake. There is no taking out but by leaving.
    function stake(uint256 amount) external onlyRegistered nonReentrant {
        require(amount > 0, "Zero amount");
        nodes[msg.sender].stakedAmount += amount;
        fabToken.safeTransferFrom(msg.sender, address(this), amount);
    }

    function updateMetadata(string calldata newMetadata) external onlyRegistered {
        require(bytes(newMetadata).length > 0, "Empty metadata");
        nodes[msg.sender].metadata = newMetadata;
        emit MetadataUpdated(msg.sender, newMetadata);
    }

    function updateApiUrl(string calldata newApiUrl) external onlyRegistered {
        require(bytes(newApiUrl).length > 0, "Empty API URL");
        nodes[msg.sender].apiUrl = newApiUrl;
        emit ApiUrlUpdated(msg.sender, newApiUrl);
    }

    /// @notice Replaces the list of models. Prices of models left out stay, and count again if the model returns.
    function updateSupportedModels(bytes32[] calldata newModelIds) external onlyRegistered {
        _removeModels(msg.sender);
        _addModels(msg.sender, newModelIds);
        emit ModelsUpdated(msg.sender, newModelIds);
    }

    /// @return Operator, stake, active, metadata, API URL, models, default prices (native, stable).
    function getNodeFullInfo(address operator)
        external
        view
        returns (address, uint256, bool, string memory, string memory, bytes32[] memory, uint256, uint256)
    {
        Node storage node = nodes[operator];
        return (
            node.operator,
            node.stakedAmount,
            node.active,
            node.metadata,
            node.apiUrl,
            node.supportedModels,
            node.minPricePerTokenNative,
            node.minPricePerTokenStable
        );
    }

    function getAllActiveNodes() external view returns (address[] memory) {
        return activeNodesList;
    }

    function getNodesForModel(bytes32 modelId) external view returns (address[] memory) {
        return modelToNodes[modelId];
    }

    function getNodeApiUrl(address operator) external view returns (string memory) {
        return nodes[operator].apiUrl;
    }

    function getNodeModels(address nodeAddress) external view returns (bytes32[] memory) {
        return nodes[nodeAddress].supportedModels;
    }

    function nodeSupportsModel(address nodeAddress, bytes32 modelId) external view returns (bool) {
        return _modelPlace[modelId][nodeAddress] != 0;
    }

    function isActiveNode(address operator) external view returns (bool) {
        return nodes[operator].active;
    }
}
