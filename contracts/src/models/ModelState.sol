// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Everything the registry of models remembers
/// @notice All storage and constants in one place, so that the order of slots is plain. New variables go to the end.
/// @dev Invariant: the registry's FAB is the votes not yet withdrawn, the fees of open proposals and the accumulated
/// fees of rejected ones (and what was sent by mistake).
abstract contract ModelState is OwnableUpgradeable, ReentrancyGuardTransient {
    struct Model {
        string huggingfaceRepo;
        string fileName;
        bytes32 sha256Hash;
        uint256 approvalTier;
        bool active;
        uint256 timestamp;
    }

    struct ModelProposal {
        bytes32 modelId;
        address proposer;
        uint256 votesFor;
        uint256 votesAgainst;
        uint256 proposalTime;
        bool executed;
        Model modelData;
        uint256 endTime;
        uint8 extensionCount;
    }

    uint256 public constant PROPOSAL_DURATION = 3 days;
    uint256 public constant PROPOSAL_FEE = 100e18;
    uint256 public constant APPROVAL_THRESHOLD = 100_000e18;
    uint256 public constant EXTENSION_WINDOW = 4 hours;
    uint256 public constant EXTENSION_DURATION = 1 days;
    uint256 public constant EXTENSION_THRESHOLD = 10_000e18;
    uint256 public constant MAX_EXTENSIONS = 3;
    uint256 public constant REPROPOSAL_COOLDOWN = 30 days;

    /// @dev Tokens per second. Inference: all three values.
    uint256 public constant DEFAULT_RATE_LIMIT = 2000;
    uint256 public constant MIN_RATE_LIMIT = 10;
    uint256 public constant MAX_RATE_LIMIT = 1_000_000;

    /// @dev Votes for a proposal that nobody executes unlock this long after its end.
    uint256 internal constant VOTE_LOCK = 7 days;

    uint256 internal constant TIER_TRUSTED = 1;
    uint256 internal constant TIER_COMMUNITY = 2;

    IERC20 public governanceToken;

    /// @dev Keys of public mappings are unnamed, as in the deployed ABI. The first is always the model.
    mapping(bytes32 => Model) public models;
    bytes32[] public modelList;
    mapping(bytes32 => uint256) public modelMaxTokensPerSecond;

    mapping(bytes32 => ModelProposal) public proposals;
    bytes32[] public activeProposals;
    /// @dev Place in `activeProposals`.
    mapping(bytes32 modelId => uint256) internal _proposalPlace;
    mapping(bytes32 => mapping(address => uint256)) public votes;
    mapping(bytes32 => uint256) public lateVotes;
    mapping(bytes32 => uint256) public lastProposalExecutionTime;
    uint256 public accumulatedRejectedFees;

    event ModelAdded(bytes32 indexed modelId, string huggingfaceRepo, string fileName, uint256 tier);

    /// @notice The identity of a model: Keccak-256 of `repo/fileName`.
    function getModelId(string memory repo, string memory fileName) public pure returns (bytes32) {
        return keccak256(abi.encodePacked(repo, "/", fileName));
    }

    function _exists(bytes32 modelId) internal view returns (bool) {
        return models[modelId].approvalTier != 0;
    }

    /// @dev A model is added once; later it is only deactivated and reactivated.
    function _newModel(string memory repo, string memory fileName, bytes32 sha256Hash, uint256 tier)
        internal
        view
        returns (bytes32 modelId, Model memory model)
    {
        require(bytes(repo).length > 0 && bytes(fileName).length > 0, "Empty name");
        require(sha256Hash != bytes32(0), "Empty hash");
        modelId = getModelId(repo, fileName);
        require(!_exists(modelId), "Model exists");
        model = Model(repo, fileName, sha256Hash, tier, true, block.timestamp);
    }

    function _addModel(bytes32 modelId, Model memory model) internal {
        models[modelId] = model;
        modelList.push(modelId);
        emit ModelAdded(modelId, model.huggingfaceRepo, model.fileName, model.approvalTier);
    }
}
