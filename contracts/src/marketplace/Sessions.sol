// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Money} from "../Money.sol";
import {MarketplaceState} from "./MarketplaceState.sol";

/// @title Opening sessions
/// @notice Four ways to pay for a session; the checks and what is written are the same for all.
/// @dev Invariants: ids are given out one by one from 1; a session's deposit is held by this contract from the
/// transaction that opens it to the one that settles it; host, model, price and limits never change.
abstract contract Sessions is MarketplaceState {
    /// @dev What a session is opened with. Field order is that of no external function.
    struct Terms {
        address depositor;
        address host;
        bytes32 modelId;
        address paymentToken;
        uint256 deposit;
        uint256 pricePerToken;
        uint256 maxDuration;
        uint256 proofInterval;
        uint256 proofTimeoutWindow;
    }

    event SessionJobCreated(uint256 indexed jobId, address indexed depositor, address indexed host, uint256 deposit);
    event SessionJobCreatedForModel(
        uint256 indexed jobId, address indexed depositor, address indexed host, bytes32 modelId, uint256 deposit
    );
    event SessionCreatedByDepositor(
        uint256 indexed sessionId, address indexed depositor, address indexed host, uint256 deposit
    );
    event SessionCreatedByDelegate(
        uint256 indexed sessionId,
        address indexed payer,
        address indexed delegate,
        address host,
        bytes32 modelId,
        uint256 amount
    );
    event DelegateAuthorized(address indexed depositor, address indexed delegate, bool authorized);

    /// @notice Opens a session paid with the native currency sent along.
    /// @param proofTimeoutWindow Seconds without a proof after which anyone may end the session; 0 for the default.
    function createSessionJobForModel(
        address host,
        bytes32 modelId,
        uint256 pricePerToken,
        uint256 maxDuration,
        uint256 proofInterval,
        uint256 proofTimeoutWindow
    ) external payable whenNotPaused nonReentrant returns (uint256 jobId) {
        return _open(
            Terms({
                depositor: msg.sender,
                host: host,
                modelId: modelId,
                paymentToken: Money.NATIVE,
                deposit: msg.value,
                pricePerToken: pricePerToken,
                maxDuration: maxDuration,
                proofInterval: proofInterval,
                proofTimeoutWindow: proofTimeoutWindow
            })
        );
    }

    /// @notice Opens a session paid with a token that the caller has approved for this contract.
    function createSessionJobForModelWithToken(
        address host,
        bytes32 modelId,
        address token,
        uint256 deposit,
        uint256 pricePerToken,
        uint256 maxDuration,
        uint256 proofInterval,
        uint256 proofTimeoutWindow
    ) external whenNotPaused nonReentrant returns (uint256 jobId) {
        _requireAccepted(token);
        jobId = _open(
            Terms({
                depositor: msg.sender,
                host: host,
                modelId: modelId,
                paymentToken: token,
                deposit: deposit,
                pricePerToken: pricePerToken,
                maxDuration: maxDuration,
                proofInterval: proofInterval,
                proofTimeoutWindow: proofTimeoutWindow
            })
        );
        Money.take(token, msg.sender, deposit);
    }

    /// @notice Opens a session paid from the caller's deposit balance. Here the model comes before the host.
    function createSessionFromDepositForModel(
        bytes32 modelId,
        address host,
        address paymentToken,
        uint256 deposit,
        uint256 pricePerToken,
        uint256 maxDuration,
        uint256 proofInterval,
        uint256 proofTimeoutWindow
    ) external whenNotPaused nonReentrant returns (uint256 sessionId) {
        if (paymentToken != Money.NATIVE) _requireAccepted(paymentToken);
        sessionId = _open(
            Terms({
                depositor: msg.sender,
                host: host,
                modelId: modelId,
                paymentToken: paymentToken,
                deposit: deposit,
                pricePerToken: pricePerToken,
                maxDuration: maxDuration,
                proofInterval: proofInterval,
                proofTimeoutWindow: proofTimeoutWindow
            })
        );
        if (paymentToken == Money.NATIVE) {
            require(deposit <= userDepositsNative[msg.sender], "Insufficient native balance");
            userDepositsNative[msg.sender] -= deposit;
        } else {
            require(deposit <= userDepositsToken[msg.sender][paymentToken], "Insufficient token balance");
            userDepositsToken[msg.sender][paymentToken] -= deposit;
        }
        emit SessionCreatedByDepositor(sessionId, msg.sender, host, deposit);
    }

    /// @notice Opens a session that `payer` pays by its token allowance; the caller is the payer or its delegate.
    /// @dev The payer is the depositor: refunds are the payer's, and the delegate cannot complete the session.
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
    ) external whenNotPaused nonReentrant returns (uint256 sessionId) {
        require(msg.sender == payer || isAuthorizedDelegate[payer][msg.sender], "Not authorized");
        require(paymentToken != Money.NATIVE, "ERC20 only");
        _requireAccepted(paymentToken);
        sessionId = _open(
            Terms({
                depositor: payer,
                host: host,
                modelId: modelId,
                paymentToken: paymentToken,
                deposit: amount,
                pricePerToken: pricePerToken,
                maxDuration: maxDuration,
                proofInterval: proofInterval,
                proofTimeoutWindow: proofTimeoutWindow
            })
        );
        emit SessionCreatedByDelegate(sessionId, payer, msg.sender, host, modelId, amount);
        Money.take(paymentToken, payer, amount);
    }

    /// @notice Lets `delegate` open sessions paid by the caller's token allowance, or stops it.
    function authorizeDelegate(address delegate, bool authorized) external {
        require(delegate != address(0), "Invalid delegate");
        require(delegate != msg.sender, "Self delegate");
        isAuthorizedDelegate[msg.sender][delegate] = authorized;
        emit DelegateAuthorized(msg.sender, delegate, authorized);
    }

    function isDelegateAuthorized(address depositor, address delegate) external view returns (bool) {
        return isAuthorizedDelegate[depositor][delegate];
    }

    /// @dev Checks the terms and writes the session. The caller brings in `terms.deposit`.
    function _open(Terms memory terms) private returns (uint256 jobId) {
        if (terms.proofTimeoutWindow == 0) terms.proofTimeoutWindow = DEFAULT_PROOF_TIMEOUT;
        _checkTerms(terms);

        jobId = nextJobId++;
        SessionJob storage session = sessionJobs[jobId];
        session.id = jobId;
        session.depositor = terms.depositor;
        session.host = terms.host;
        session.paymentToken = terms.paymentToken;
        session.deposit = terms.deposit;
        session.pricePerToken = terms.pricePerToken;
        session.maxDuration = terms.maxDuration;
        session.startTime = block.timestamp;
        session.lastProofTime = block.timestamp;
        session.proofInterval = terms.proofInterval;
        session.proofTimeoutWindow = terms.proofTimeoutWindow;
        sessionModel[jobId] = terms.modelId;
        userSessions[terms.depositor].push(jobId);
        hostSessions[terms.host].push(jobId);

        emit SessionJobCreated(jobId, terms.depositor, terms.host, terms.deposit);
        emit SessionJobCreatedForModel(jobId, terms.depositor, terms.host, terms.modelId, terms.deposit);
    }

    function _checkTerms(Terms memory terms) private view {
        bool native = terms.paymentToken == Money.NATIVE;
        require(terms.deposit >= (native ? MIN_DEPOSIT : tokenMinDeposits[terms.paymentToken]), "Low deposit");
        require(terms.pricePerToken > 0, "Invalid price");
        require(terms.maxDuration > 0 && terms.maxDuration <= MAX_DURATION, "Invalid duration");
        require(terms.proofInterval > 0, "Invalid proof interval");
        require(
            terms.proofTimeoutWindow >= MIN_PROOF_TIMEOUT && terms.proofTimeoutWindow <= MAX_PROOF_TIMEOUT,
            "Proof timeout"
        );
        require(terms.host != address(0), "Invalid host");
        require(
            terms.deposit <= (native ? NATIVE_MAX_DEPOSIT : tokenMaxDeposits[terms.paymentToken]), "Deposit too large"
        );
        (address operator,, bool active,,,,,) = nodeRegistry.getNodeFullInfo(terms.host);
        require(operator != address(0), "Host not registered");
        require(active, "Host not active");
        require(terms.proofInterval >= MIN_PROVEN_TOKENS, "Proof interval too small");
        require(
            terms.deposit * PRICE_PRECISION / terms.pricePerToken >= terms.proofInterval,
            "Deposit too small for proof interval"
        );
        require(nodeRegistry.nodeSupportsModel(terms.host, terms.modelId), "Model unsupported");
        require(
            terms.pricePerToken >= nodeRegistry.getModelPricing(terms.host, terms.modelId, terms.paymentToken),
            "Price < model min"
        );
    }

    function _requireAccepted(address token) private view {
        require(acceptedTokens[token], "Token not accepted");
        require(tokenMinDeposits[token] > 0, "Token not configured");
        require(tokenMaxDeposits[token] > 0, "Token max deposit not configured");
    }
}
