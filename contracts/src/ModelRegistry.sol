// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {Governance} from "./models/Governance.sol";

/// @title Registry of models
/// @notice Which models may be served, the SHA-256 of their files, and how fast their tokens may be claimed.
/// @dev Nobody checks here that a host runs the registered file.
contract ModelRegistry is Initializable, UUPSUpgradeable, Governance, IModelRegistry {
    event ModelDeactivated(bytes32 indexed modelId);
    event ModelReactivated(bytes32 indexed modelId);
    event ModelRateLimitUpdated(bytes32 indexed modelId, uint256 maxTokensPerSecond);

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    function initialize(address _governanceToken) external initializer {
        require(_governanceToken != address(0), "Invalid token");
        __Ownable_init(msg.sender);
        governanceToken = IERC20(_governanceToken);
    }

    function addTrustedModel(string calldata huggingfaceRepo, string calldata fileName, bytes32 sha256Hash)
        external
        onlyOwner
    {
        _addTrustedModel(huggingfaceRepo, fileName, sha256Hash);
    }

    function batchAddTrustedModels(string[] calldata repos, string[] calldata fileNames, bytes32[] calldata hashes)
        external
        onlyOwner
    {
        require(repos.length == fileNames.length && repos.length == hashes.length, "Length mismatch");
        for (uint256 i = 0; i < repos.length; ++i) {
            _addTrustedModel(repos[i], fileNames[i], hashes[i]);
        }
    }

    /// @notice Stops new hosts from naming the model. Hosts that name it already keep it.
    function deactivateModel(bytes32 modelId) external onlyOwner {
        require(_exists(modelId), "Unknown model");
        require(models[modelId].active, "Model not active");
        models[modelId].active = false;
        emit ModelDeactivated(modelId);
    }

    function reactivateModel(bytes32 modelId) external onlyOwner {
        require(_exists(modelId), "Unknown model");
        require(!models[modelId].active, "Model active");
        models[modelId].active = true;
        emit ModelReactivated(modelId);
    }

    /// @param maxTokensPerSec Zero for the default.
    function setModelRateLimit(bytes32 modelId, uint256 maxTokensPerSec) external onlyOwner {
        require(_exists(modelId), "Unknown model");
        require(
            maxTokensPerSec == 0 || (maxTokensPerSec >= MIN_RATE_LIMIT && maxTokensPerSec <= MAX_RATE_LIMIT),
            "Invalid rate limit"
        );
        modelMaxTokensPerSecond[modelId] = maxTokensPerSec;
        emit ModelRateLimitUpdated(modelId, maxTokensPerSec);
    }

    /// @inheritdoc IModelRegistry
    /// @dev Inference: a model without a limit of its own has the default, not none.
    function getModelRateLimit(bytes32 modelId) external view returns (uint256) {
        uint256 limit = modelMaxTokensPerSecond[modelId];
        return limit == 0 ? DEFAULT_RATE_LIMIT : limit;
    }

    function isModelApproved(bytes32 modelId) external view returns (bool) {
        return models[modelId].active;
    }

    function isTrustedModel(bytes32 modelId) external view returns (bool) {
        return models[modelId].active && models[modelId].approvalTier == TIER_TRUSTED;
    }

    /// @dev An unknown model is answered with an empty record.
    function getModel(bytes32 modelId) external view returns (Model memory) {
        return models[modelId];
    }

    function getModelHash(bytes32 modelId) external view returns (bytes32) {
        return models[modelId].sha256Hash;
    }

    function getAllModels() external view returns (bytes32[] memory) {
        return modelList;
    }

    function _addTrustedModel(string calldata repo, string calldata fileName, bytes32 sha256Hash) private {
        (bytes32 modelId, Model memory model) = _newModel(repo, fileName, sha256Hash, TIER_TRUSTED);
        _addModel(modelId, model);
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}
}
