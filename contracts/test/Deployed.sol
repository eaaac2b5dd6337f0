// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

// The deployed ABIs (../abi) as interfaces: the tests know the contracts only by what every client knows.

interface JobMarketplace {
    struct ChainConfig {
        address nativeWrapper;
        address stablecoin;
        uint256 minDeposit;
        string nativeTokenSymbol;
    }

    event ContractPaused(address indexed by);
    event ContractUnpaused(address indexed by);
    event DelegateAuthorized(address indexed depositor, address indexed delegate, bool authorized);
    event DepositReceived(address indexed depositor, uint256 amount, address indexed token);
    event Initialized(uint64 version);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    event Paused(address account);
    event PaymentSent(address indexed recipient, uint256 amount);
    event ProofSubmitted(
        uint256 indexed jobId,
        address indexed host,
        uint256 tokensClaimed,
        bytes32 proofHash,
        string proofCID,
        string deltaCID
    );
    event RefundCreditedToDeposit(
        uint256 indexed jobId, address indexed depositor, uint256 amount, address indexed token
    );
    event SessionCompleted(uint256 indexed jobId, uint256 totalTokensUsed, uint256 hostEarnings, uint256 userRefund);
    event SessionCompletedBy(
        uint256 indexed jobId,
        address indexed completedBy,
        uint256 tokensUsed,
        uint256 paymentAmount,
        uint256 refundAmount
    );
    event SessionCreatedByDelegate(
        uint256 indexed sessionId,
        address indexed payer,
        address indexed delegate,
        address host,
        bytes32 modelId,
        uint256 amount
    );
    event SessionCreatedByDepositor(
        uint256 indexed sessionId, address indexed depositor, address indexed host, uint256 deposit
    );
    event SessionJobCreated(uint256 indexed jobId, address indexed depositor, address indexed host, uint256 deposit);
    event SessionJobCreatedForModel(
        uint256 indexed jobId, address indexed depositor, address indexed host, bytes32 modelId, uint256 deposit
    );
    event SessionTimedOut(uint256 indexed jobId, uint256 hostEarnings, uint256 userRefund);
    event TokenAccepted(address indexed token, uint256 minDeposit, uint256 maxDeposit);
    event TokenMaxDepositUpdated(address indexed token, uint256 oldMaxDeposit, uint256 newMaxDeposit);
    event TokenMinDepositUpdated(address indexed token, uint256 oldMinDeposit, uint256 newMinDeposit);
    event TreasuryWithdrawal(address indexed token, uint256 amount);
    event Unpaused(address account);
    event Upgraded(address indexed implementation);
    event WithdrawalProcessed(address indexed depositor, uint256 amount, address indexed token);

    error AddressEmptyCode(address target);
    error ERC1967InvalidImplementation(address implementation);
    error ERC1967NonPayable();
    error EnforcedPause();
    error ExpectedPause();
    error FailedCall();
    error InvalidInitialization();
    error NotInitializing();
    error OwnableInvalidOwner(address owner);
    error OwnableUnauthorizedAccount(address account);
    error ReentrancyGuardReentrantCall();
    error SafeERC20FailedOperation(address token);
    error UUPSUnauthorizedCallContext();
    error UUPSUnsupportedProxiableUUID(bytes32 slot);

    function DEFAULT_PROOF_TIMEOUT() external view returns (uint256);
    function MAX_PROOF_TIMEOUT() external view returns (uint256);
    function MIN_DEPOSIT() external view returns (uint256);
    function MIN_PROOF_TIMEOUT() external view returns (uint256);
    function MIN_PROVEN_TOKENS() external view returns (uint256);
    function PRICE_PRECISION() external view returns (uint256);
    function UPGRADE_INTERFACE_VERSION() external view returns (string memory);
    function USDC_MAX_DEPOSIT() external view returns (uint256);
    function USDC_MIN_DEPOSIT() external view returns (uint256);
    function acceptedTokens(address) external view returns (bool);
    function accumulatedTreasuryNative() external view returns (uint256);
    function accumulatedTreasuryTokens(address) external view returns (uint256);
    function addAcceptedToken(address token, uint256 minDeposit, uint256 maxDeposit) external;
    function authorizeDelegate(address delegate, bool authorized) external;
    function chainConfig()
        external
        view
        returns (address nativeWrapper, address stablecoin, uint256 minDeposit, string memory nativeTokenSymbol);
    function completeSessionJob(uint256 jobId, string calldata conversationCID) external;
    function createSessionForModelAsDelegate(
        address payer,
        bytes32 modelId,
        address host,
        address paymentToken,
        uint256 amount,
        uint256 pricePerToken,
        uint256 maxDuration,
        uint256 proofInterval,
        uint256 proofTimeoutWindow
    ) external returns (uint256 sessionId);
    function createSessionFromDepositForModel(
        bytes32 modelId,
        address host,
        address paymentToken,
        uint256 deposit,
        uint256 pricePerToken,
        uint256 maxDuration,
        uint256 proofInterval,
        uint256 proofTimeoutWindow
    ) external returns (uint256 sessionId);
    function createSessionJobForModel(
        address host,
        bytes32 modelId,
        uint256 pricePerToken,
        uint256 maxDuration,
        uint256 proofInterval,
        uint256 proofTimeoutWindow
    ) external payable returns (uint256 jobId);
    function createSessionJobForModelWithToken(
        address host,
        bytes32 modelId,
        address token,
        uint256 deposit,
        uint256 pricePerToken,
        uint256 maxDuration,
        uint256 proofInterval,
        uint256 proofTimeoutWindow
    ) external returns (uint256 jobId);
    function depositNative() external payable;
    function depositToken(address token, uint256 amount) external;
    function disputeWindow() external view returns (uint256);
    function feeBasisPoints() external view returns (uint256);
    function getDepositBalance(address account, address token) external view returns (uint256);
    function getDepositBalances(address account, address[] calldata tokens) external view returns (uint256[] memory);
    function getLockedBalanceNative(address account) external view returns (uint256 locked);
    function getLockedBalanceToken(address account, address token) external view returns (uint256 locked);
    function getProofSubmission(uint256 sessionId, uint256 proofIndex)
        external
        view
        returns (bytes32 proofHash, uint256 tokensClaimed, uint256 timestamp, bool verified, string memory deltaCID);
    function getTotalBalanceNative(address account) external view returns (uint256);
    function getTotalBalanceToken(address account, address token) external view returns (uint256);
    function hostEarnings() external view returns (address);
    function hostSessions(address, uint256) external view returns (uint256);
    function initialize(address _nodeRegistry, address _hostEarnings, uint256 _feeBasisPoints, uint256 _disputeWindow)
        external;
    function initializeChainConfig(ChainConfig calldata _config) external;
    function isAuthorizedDelegate(address, address) external view returns (bool);
    function isDelegateAuthorized(address depositor, address delegate) external view returns (bool);
    function minTokensFee() external view returns (uint256);
    function nextJobId() external view returns (uint256);
    function nodeRegistry() external view returns (address);
    function owner() external view returns (address);
    function pause() external;
    function paused() external view returns (bool);
    function proofSystem() external view returns (address);
    function proxiableUUID() external view returns (bytes32);
    function renounceOwnership() external;
    function sessionJobs(uint256)
        external
        view
        returns (
            uint256 id,
            address depositor,
            address host,
            address paymentToken,
            uint256 deposit,
            uint256 pricePerToken,
            uint256 tokensUsed,
            uint256 maxDuration,
            uint256 startTime,
            uint256 lastProofTime,
            uint256 proofInterval,
            uint256 proofTimeoutWindow,
            uint8 status,
            uint256 withdrawnByHost,
            uint256 refundedToUser,
            string memory conversationCID,
            bytes32 lastProofHash,
            string memory lastProofCID
        );
    function sessionModel(uint256) external view returns (bytes32);
    function setMinTokensFee(uint256 _fee) external;
    function setProofSystem(address _proofSystem) external;
    function setTreasury(address _treasury) external;
    function setUsdcAddress(address _usdc) external;
    function submitProofOfWork(
        uint256 jobId,
        uint256 tokensClaimed,
        bytes32 proofHash,
        string calldata proofCID,
        string calldata deltaCID
    ) external;
    function tokenMaxDeposits(address) external view returns (uint256);
    function tokenMinDeposits(address) external view returns (uint256);
    function transferOwnership(address newOwner) external;
    function treasuryAddress() external view returns (address);
    function triggerSessionTimeout(uint256 jobId) external;
    function unpause() external;
    function updateTokenMaxDeposit(address token, uint256 maxDeposit) external;
    function updateTokenMinDeposit(address token, uint256 minDeposit) external;
    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable;
    function usdcAddress() external view returns (address);
    function userDepositsNative(address) external view returns (uint256);
    function userDepositsToken(address, address) external view returns (uint256);
    function userSessions(address, uint256) external view returns (uint256);
    function withdrawAllTreasuryFees(address[] calldata tokens) external;
    function withdrawNative(uint256 amount) external;
    function withdrawToken(address token, uint256 amount) external;
    function withdrawTreasuryNative() external;
    function withdrawTreasuryTokens(address token) external;
}

interface NodeRegistry {
    event ApiUrlUpdated(address indexed operator, string newApiUrl);
    event CorruptNodeRepaired(address indexed operator, uint256 stakeReturned);
    event HostAutoUnregistered(address indexed host, uint256 slashedAmount, uint256 returnedAmount, string reason);
    event Initialized(uint64 version);
    event MetadataUpdated(address indexed operator, string newMetadata);
    event ModelRegistryUpdated(address indexed newRegistry);
    event ModelTokenPricingUpdated(
        address indexed operator, bytes32 indexed modelId, address indexed token, uint256 price
    );
    event ModelsUpdated(address indexed operator, bytes32[] newModels);
    event NodeRegistered(address indexed operator, uint256 stakedAmount, string metadata, bytes32[] models);
    event NodeUnregistered(address indexed operator, uint256 returnedAmount);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    event SlashExecuted(
        address indexed host,
        uint256 amount,
        uint256 remainingStake,
        string evidenceCID,
        string reason,
        address indexed executor,
        uint256 timestamp
    );
    event SlashingAuthorityUpdated(address indexed previousAuthority, address indexed newAuthority);
    event TreasuryUpdated(address indexed newTreasury);
    event Upgraded(address indexed implementation);

    error AddressEmptyCode(address target);
    error ERC1967InvalidImplementation(address implementation);
    error ERC1967NonPayable();
    error FailedCall();
    error InvalidInitialization();
    error NotInitializing();
    error OwnableInvalidOwner(address owner);
    error OwnableUnauthorizedAccount(address account);
    error ReentrancyGuardReentrantCall();
    error SafeERC20FailedOperation(address token);
    error UUPSUnauthorizedCallContext();
    error UUPSUnsupportedProxiableUUID(bytes32 slot);

    function MAX_PRICE_PER_TOKEN_NATIVE() external view returns (uint256);
    function MAX_PRICE_PER_TOKEN_STABLE() external view returns (uint256);
    function MAX_SLASH_PERCENTAGE() external view returns (uint256);
    function MIN_PRICE_PER_TOKEN_NATIVE() external view returns (uint256);
    function MIN_PRICE_PER_TOKEN_STABLE() external view returns (uint256);
    function MIN_STAKE() external view returns (uint256);
    function MIN_STAKE_AFTER_SLASH() external view returns (uint256);
    function PRICE_PRECISION() external view returns (uint256);
    function SLASH_COOLDOWN() external view returns (uint256);
    function UPGRADE_INTERFACE_VERSION() external view returns (string memory);
    function activeNodesIndex(address) external view returns (uint256);
    function activeNodesList(uint256) external view returns (address);
    function clearModelTokenPricing(bytes32 modelId, address token) external;
    function customTokenPricing(address, address) external view returns (uint256);
    function fabToken() external view returns (address);
    function getAllActiveNodes() external view returns (address[] memory);
    function getHostModelPrices(address operator, address token)
        external
        view
        returns (bytes32[] memory modelIds, uint256[] memory prices);
    function getModelPricing(address operator, bytes32 modelId, address token) external view returns (uint256);
    function getNodeApiUrl(address operator) external view returns (string memory);
    function getNodeFullInfo(address operator)
        external
        view
        returns (address, uint256, bool, string memory, string memory, bytes32[] memory, uint256, uint256);
    function getNodeModels(address nodeAddress) external view returns (bytes32[] memory);
    function getNodesForModel(bytes32 modelId) external view returns (address[] memory);
    function initialize(address _fabToken, address _modelRegistry) external;
    function initializeSlashing(address _treasury) external;
    function isActiveNode(address operator) external view returns (bool);
    function lastSlashTime(address) external view returns (uint256);
    function modelPricingNative(address, bytes32) external view returns (uint256);
    function modelPricingStable(address, bytes32) external view returns (uint256);
    function modelRegistry() external view returns (address);
    function modelToNodes(bytes32, uint256) external view returns (address);
    function modelTokenPricing(address, bytes32, address) external view returns (uint256);
    function nodeSupportsModel(address nodeAddress, bytes32 modelId) external view returns (bool);
    function nodes(address)
        external
        view
        returns (
            address operator,
            uint256 stakedAmount,
            bool active,
            string memory metadata,
            string memory apiUrl,
            uint256 minPricePerTokenNative,
            uint256 minPricePerTokenStable
        );
    function owner() external view returns (address);
    function proxiableUUID() external view returns (bytes32);
    function registerNode(
        string calldata metadata,
        string calldata apiUrl,
        bytes32[] calldata modelIds,
        uint256 minPricePerTokenNative,
        uint256 minPricePerTokenStable
    ) external;
    function renounceOwnership() external;
    function repairCorruptNode(address nodeAddress) external;
    function setModelTokenPricing(bytes32 modelId, address token, uint256 price) external;
    function setSlashingAuthority(address newAuthority) external;
    function setTreasury(address newTreasury) external;
    function slashStake(address host, uint256 amount, string calldata evidenceCID, string calldata reason) external;
    function slashingAuthority() external view returns (address);
    function stake(uint256 amount) external;
    function transferOwnership(address newOwner) external;
    function treasury() external view returns (address);
    function unregisterNode() external;
    function updateApiUrl(string calldata newApiUrl) external;
    function updateMetadata(string calldata newMetadata) external;
    function updateModelRegistry(address newRegistry) external;
    function updateSupportedModels(bytes32[] calldata newModelIds) external;
    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable;
}

interface ModelRegistry {
    struct Model {
        string huggingfaceRepo;
        string fileName;
        bytes32 sha256Hash;
        uint256 approvalTier;
        bool active;
        uint256 timestamp;
    }

    event Initialized(uint64 version);
    event ModelAdded(bytes32 indexed modelId, string huggingfaceRepo, string fileName, uint256 tier);
    event ModelDeactivated(bytes32 indexed modelId);
    event ModelProposed(bytes32 indexed modelId, address indexed proposer, string huggingfaceRepo);
    event ModelRateLimitUpdated(bytes32 indexed modelId, uint256 maxTokensPerSecond);
    event ModelReactivated(bytes32 indexed modelId);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    event ProposalExecuted(bytes32 indexed modelId, bool approved);
    event RejectedFeesWithdrawn(address indexed recipient, uint256 amount);
    event Upgraded(address indexed implementation);
    event VoteCast(bytes32 indexed modelId, address indexed voter, uint256 amount, bool support);
    event VotingExtended(bytes32 indexed modelId, uint256 newEndTime, uint8 extensionCount);

    error AddressEmptyCode(address target);
    error ERC1967InvalidImplementation(address implementation);
    error ERC1967NonPayable();
    error FailedCall();
    error InvalidInitialization();
    error NotInitializing();
    error OwnableInvalidOwner(address owner);
    error OwnableUnauthorizedAccount(address account);
    error ReentrancyGuardReentrantCall();
    error SafeERC20FailedOperation(address token);
    error UUPSUnauthorizedCallContext();
    error UUPSUnsupportedProxiableUUID(bytes32 slot);

    function APPROVAL_THRESHOLD() external view returns (uint256);
    function DEFAULT_RATE_LIMIT() external view returns (uint256);
    function EXTENSION_DURATION() external view returns (uint256);
    function EXTENSION_THRESHOLD() external view returns (uint256);
    function EXTENSION_WINDOW() external view returns (uint256);
    function MAX_EXTENSIONS() external view returns (uint256);
    function MAX_RATE_LIMIT() external view returns (uint256);
    function MIN_RATE_LIMIT() external view returns (uint256);
    function PROPOSAL_DURATION() external view returns (uint256);
    function PROPOSAL_FEE() external view returns (uint256);
    function REPROPOSAL_COOLDOWN() external view returns (uint256);
    function UPGRADE_INTERFACE_VERSION() external view returns (string memory);
    function accumulatedRejectedFees() external view returns (uint256);
    function activeProposals(uint256) external view returns (bytes32);
    function addTrustedModel(string calldata huggingfaceRepo, string calldata fileName, bytes32 sha256Hash) external;
    function batchAddTrustedModels(string[] calldata repos, string[] calldata fileNames, bytes32[] calldata hashes)
        external;
    function deactivateModel(bytes32 modelId) external;
    function executeProposal(bytes32 modelId) external;
    function getActiveProposals() external view returns (bytes32[] memory);
    function getAllModels() external view returns (bytes32[] memory);
    function getModel(bytes32 modelId) external view returns (Model memory);
    function getModelHash(bytes32 modelId) external view returns (bytes32);
    function getModelId(string calldata repo, string calldata fileName) external pure returns (bytes32);
    function getModelRateLimit(bytes32 modelId) external view returns (uint256);
    function governanceToken() external view returns (address);
    function initialize(address _governanceToken) external;
    function isModelApproved(bytes32 modelId) external view returns (bool);
    function isTrustedModel(bytes32 modelId) external view returns (bool);
    function lastProposalExecutionTime(bytes32) external view returns (uint256);
    function lateVotes(bytes32) external view returns (uint256);
    function modelList(uint256) external view returns (bytes32);
    function modelMaxTokensPerSecond(bytes32) external view returns (uint256);
    function models(bytes32)
        external
        view
        returns (
            string memory huggingfaceRepo,
            string memory fileName,
            bytes32 sha256Hash,
            uint256 approvalTier,
            bool active,
            uint256 timestamp
        );
    function owner() external view returns (address);
    function proposals(bytes32)
        external
        view
        returns (
            bytes32 modelId,
            address proposer,
            uint256 votesFor,
            uint256 votesAgainst,
            uint256 proposalTime,
            bool executed,
            Model memory modelData,
            uint256 endTime,
            uint8 extensionCount
        );
    function proposeModel(string calldata huggingfaceRepo, string calldata fileName, bytes32 sha256Hash) external;
    function proxiableUUID() external view returns (bytes32);
    function reactivateModel(bytes32 modelId) external;
    function renounceOwnership() external;
    function setModelRateLimit(bytes32 modelId, uint256 maxTokensPerSec) external;
    function transferOwnership(address newOwner) external;
    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable;
    function voteOnProposal(bytes32 modelId, uint256 amount, bool support) external;
    function votes(bytes32, address) external view returns (uint256);
    function withdrawRejectedFees(uint256 amount) external;
    function withdrawVotes(bytes32 modelId) external;
}

interface ProofSystem {
    event AuthorizedCallerUpdated(address indexed caller, bool authorized);
    event Initialized(uint64 version);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    event ProofVerified(bytes32 indexed proofHash, address indexed prover, uint256 tokens);
    event Upgraded(address indexed implementation);

    error AddressEmptyCode(address target);
    error ERC1967InvalidImplementation(address implementation);
    error ERC1967NonPayable();
    error FailedCall();
    error InvalidInitialization();
    error NotInitializing();
    error OwnableInvalidOwner(address owner);
    error OwnableUnauthorizedAccount(address account);
    error UUPSUnauthorizedCallContext();
    error UUPSUnsupportedProxiableUUID(bytes32 slot);

    function UPGRADE_INTERFACE_VERSION() external view returns (string memory);
    function authorizedCallers(address) external view returns (bool);
    function initialize() external;
    function markProofUsed(bytes32 proofHash, address prover, uint256 claimedTokens, bytes32 modelId)
        external
        returns (bool);
    function owner() external view returns (address);
    function proxiableUUID() external view returns (bytes32);
    function renounceOwnership() external;
    function setAuthorizedCaller(address caller, bool authorized) external;
    function transferOwnership(address newOwner) external;
    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable;
    function verifiedProofs(bytes32) external view returns (bool);
}

interface HostEarnings {
    event CallerAuthorized(address indexed caller, bool authorized);
    event EarningsCredited(address indexed host, address indexed token, uint256 amount, uint256 newBalance);
    event EarningsWithdrawn(address indexed host, address indexed token, uint256 amount, uint256 remainingBalance);
    event Initialized(uint64 version);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    event Upgraded(address indexed implementation);

    error AddressEmptyCode(address target);
    error ERC1967InvalidImplementation(address implementation);
    error ERC1967NonPayable();
    error FailedCall();
    error InvalidInitialization();
    error NotInitializing();
    error OwnableInvalidOwner(address owner);
    error OwnableUnauthorizedAccount(address account);
    error ReentrancyGuardReentrantCall();
    error SafeERC20FailedOperation(address token);
    error UUPSUnauthorizedCallContext();
    error UUPSUnsupportedProxiableUUID(bytes32 slot);

    receive() external payable;

    function UPGRADE_INTERFACE_VERSION() external view returns (string memory);
    function authorizedCallers(address) external view returns (bool);
    function creditEarnings(address host, uint256 amount, address token) external;
    function getBalance(address host, address token) external view returns (uint256);
    function getBalances(address host, address[] calldata tokens) external view returns (uint256[] memory balances);
    function getTokenStats(address token)
        external
        view
        returns (uint256 accumulated, uint256 withdrawn, uint256 outstanding);
    function initialize() external;
    function owner() external view returns (address);
    function proxiableUUID() external view returns (bytes32);
    function renounceOwnership() external;
    function rescueTokens(address token, uint256 amount) external;
    function setAuthorizedCaller(address caller, bool authorized) external;
    function totalAccumulated(address) external view returns (uint256);
    function totalWithdrawn(address) external view returns (uint256);
    function transferOwnership(address newOwner) external;
    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable;
    function withdraw(uint256 amount, address token) external;
    function withdrawAll(address token) external;
    function withdrawMultiple(address[] calldata tokens) external;
}
