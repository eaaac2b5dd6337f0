// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IModelRegistry} from "../interfaces/IModelRegistry.sol";

/// @title Everything the registry of hosts remembers
/// @notice All storage and constants in one place, so that the order of slots is plain. New variables go to the end.
/// @dev Invariants: the registry's FAB is the sum of all stakes (and what was sent by mistake); a host is in the list
/// of active nodes exactly while it is registered, and in a model's list exactly while it names that model.
abstract contract NodeState is OwnableUpgradeable, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    struct Node {
        address operator;
        uint256 stakedAmount;
        bool active;
        string metadata;
        string apiUrl;
        bytes32[] supportedModels;
        uint256 minPricePerTokenNative;
        uint256 minPricePerTokenStable;
    }

    uint256 public constant MIN_STAKE = 1000e18;
    uint256 public constant PRICE_PRECISION = 1000;
    uint256 public constant MIN_PRICE_PER_TOKEN_NATIVE = 227_273;
    uint256 public constant MAX_PRICE_PER_TOKEN_NATIVE = 22_727_272_727_273_000;
    uint256 public constant MIN_PRICE_PER_TOKEN_STABLE = 1;
    uint256 public constant MAX_PRICE_PER_TOKEN_STABLE = 100_000_000;
    uint256 public constant MAX_SLASH_PERCENTAGE = 50;
    uint256 public constant MIN_STAKE_AFTER_SLASH = 100e18;
    uint256 public constant SLASH_COOLDOWN = 24 hours;

    IERC20 public fabToken;
    IModelRegistry public modelRegistry;
    address public slashingAuthority;
    address public treasury;

    /// @dev Keys of public mappings are unnamed, as in the deployed ABI. These are by operator or model.
    mapping(address => Node) public nodes;
    address[] public activeNodesList;
    mapping(address => uint256) public activeNodesIndex;

    mapping(bytes32 => address[]) public modelToNodes;
    /// @dev Place in `modelToNodes`, counted from 1; zero when the host does not name the model.
    mapping(bytes32 modelId => mapping(address operator => uint256)) internal _modelPlace;

    /// @dev By operator, model, token.
    mapping(address => mapping(bytes32 => mapping(address => uint256))) public modelTokenPricing;
    mapping(address => uint256) public lastSlashTime;

    /// @dev Kept for readers of the older pricing. Never written: sessions use `modelTokenPricing`.
    mapping(address => mapping(bytes32 => uint256)) public modelPricingNative;
    mapping(address => mapping(bytes32 => uint256)) public modelPricingStable;
    mapping(address => mapping(address => uint256)) public customTokenPricing;

    modifier onlyRegistered() {
        require(nodes[msg.sender].operator != address(0), "Not registered");
        _;
    }

    /// @dev Inference: a model named twice is listed once.
    function _addModels(address operator, bytes32[] calldata modelIds) internal {
        require(modelIds.length > 0, "No models");
        Node storage node = nodes[operator];
        for (uint256 i = 0; i < modelIds.length; ++i) {
            bytes32 modelId = modelIds[i];
            require(modelRegistry.isModelApproved(modelId), "Model not approved");
            if (_modelPlace[modelId][operator] != 0) continue;
            node.supportedModels.push(modelId);
            modelToNodes[modelId].push(operator);
            _modelPlace[modelId][operator] = modelToNodes[modelId].length;
        }
    }

    function _removeModels(address operator) internal {
        bytes32[] storage modelIds = nodes[operator].supportedModels;
        for (uint256 i = 0; i < modelIds.length; ++i) {
            address[] storage listed = modelToNodes[modelIds[i]];
            mapping(address => uint256) storage place = _modelPlace[modelIds[i]];
            address last = listed[listed.length - 1];
            listed[place[operator] - 1] = last;
            place[last] = place[operator];
            listed.pop();
            place[operator] = 0;
        }
        delete nodes[operator].supportedModels;
    }

    function _isListed(address operator) internal view returns (bool) {
        uint256 index = activeNodesIndex[operator];
        return index < activeNodesList.length && activeNodesList[index] == operator;
    }

    /// @dev Forgets the node and pays the rest of its stake back. Prices and the time of the last slash stay.
    /// @return returned The stake paid back.
    function _remove(address operator) internal returns (uint256 returned) {
        returned = nodes[operator].stakedAmount;
        _removeModels(operator);
        if (_isListed(operator)) {
            uint256 index = activeNodesIndex[operator];
            address last = activeNodesList[activeNodesList.length - 1];
            activeNodesList[index] = last;
            activeNodesIndex[last] = index;
            activeNodesList.pop();
        }
        delete activeNodesIndex[operator];
        delete nodes[operator];
        if (returned > 0) fabToken.safeTransfer(operator, returned);
    }
}
