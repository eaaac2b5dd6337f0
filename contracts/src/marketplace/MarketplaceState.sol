// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IHostEarnings} from "../interfaces/IHostEarnings.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {IProofSystem} from "../interfaces/IProofSystem.sol";

/// @title Everything the marketplace remembers
/// @notice All storage and constants in one place, so that the order of slots is plain. New variables go to the end.
/// @dev Invariant, for the native currency and for every token: the balance of the contract is the sum of
/// deposit balances, the deposits of active sessions, and the treasury's accumulated fees.
abstract contract MarketplaceState is OwnableUpgradeable, PausableUpgradeable, ReentrancyGuardTransient {
    enum SessionStatus {
        Active,
        Completed,
        TimedOut
    }

    struct ProofSubmission {
        bytes32 proofHash;
        uint256 tokensClaimed;
        uint256 timestamp;
        bool verified;
        string deltaCID;
    }

    /// @dev Prices are in the token's smallest unit for 1000 tokens of work. Times are in seconds.
    struct SessionJob {
        uint256 id;
        address depositor;
        address host;
        address paymentToken;
        uint256 deposit;
        uint256 pricePerToken;
        uint256 tokensUsed;
        uint256 maxDuration;
        uint256 startTime;
        uint256 lastProofTime;
        uint256 proofInterval;
        uint256 proofTimeoutWindow;
        SessionStatus status;
        uint256 withdrawnByHost;
        uint256 refundedToUser;
        string conversationCID;
        bytes32 lastProofHash;
        string lastProofCID;
        ProofSubmission[] proofs;
    }

    struct ChainConfig {
        address nativeWrapper;
        address stablecoin;
        uint256 minDeposit;
        string nativeTokenSymbol;
    }

    uint256 public constant PRICE_PRECISION = 1000;
    uint256 public constant MIN_DEPOSIT = 0.0001 ether;
    uint256 public constant USDC_MIN_DEPOSIT = 500_000;
    uint256 public constant USDC_MAX_DEPOSIT = 1_000_000e6;
    uint256 public constant MIN_PROVEN_TOKENS = 100;
    uint256 public constant MIN_PROOF_TIMEOUT = 60;
    uint256 public constant DEFAULT_PROOF_TIMEOUT = 300;
    uint256 public constant MAX_PROOF_TIMEOUT = 3600;

    uint256 internal constant NATIVE_MAX_DEPOSIT = 1000 ether;
    uint256 internal constant MAX_DURATION = 365 days;
    uint256 internal constant BASIS_POINTS = 10_000;
    uint256 internal constant MIN_DISPUTE_WINDOW = 1;
    uint256 internal constant MAX_DISPUTE_WINDOW = 7 days;

    INodeRegistry public nodeRegistry;
    IHostEarnings public hostEarnings;
    IProofSystem public proofSystem;
    address public treasuryAddress;
    address public usdcAddress;

    uint256 public feeBasisPoints;
    uint256 public disputeWindow;
    uint256 public minTokensFee;
    uint256 public nextJobId;

    /// @dev Keys of public mappings are unnamed, as in the deployed ABI. These two are by session id.
    mapping(uint256 => SessionJob) public sessionJobs;
    mapping(uint256 => bytes32) public sessionModel;
    /// @dev Session ids, by depositor and by host.
    mapping(address => uint256[]) public userSessions;
    mapping(address => uint256[]) public hostSessions;

    /// @dev By depositor, then token.
    mapping(address => uint256) public userDepositsNative;
    mapping(address => mapping(address => uint256)) public userDepositsToken;

    uint256 public accumulatedTreasuryNative;
    mapping(address => uint256) public accumulatedTreasuryTokens;

    /// @dev By token.
    mapping(address => bool) public acceptedTokens;
    mapping(address => uint256) public tokenMinDeposits;
    mapping(address => uint256) public tokenMaxDeposits;

    /// @dev By depositor, then delegate.
    mapping(address => mapping(address => bool)) public isAuthorizedDelegate;

    ChainConfig public chainConfig;

    modifier onlyTreasuryOrOwner() {
        require(msg.sender == treasuryAddress || msg.sender == owner(), "Only treasury or owner");
        _;
    }

    modifier onlyTreasury() {
        require(msg.sender == treasuryAddress, "Only treasury");
        _;
    }

    /// @dev What `tokens` of work cost. Rounds down: a depositor never pays more than the price.
    function _cost(uint256 tokens, uint256 pricePerToken) internal pure returns (uint256) {
        return tokens * pricePerToken / PRICE_PRECISION;
    }

    function _creditDeposit(address depositor, address token, uint256 amount) internal {
        if (token == address(0)) userDepositsNative[depositor] += amount;
        else userDepositsToken[depositor][token] += amount;
    }

    function _active(uint256 jobId) internal view returns (SessionJob storage session) {
        session = sessionJobs[jobId];
        // An unknown session reads as active: only its id tells.
        require(session.id != 0 && session.status == SessionStatus.Active, "Session not active");
    }
}
