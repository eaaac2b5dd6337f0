// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Money} from "../Money.sol";
import {MarketplaceState} from "./MarketplaceState.sol";

/// @title Ending sessions
/// @notice A session ends once, by completion or by timeout, and its deposit is divided at that moment.
/// @dev Invariant: deposit = host's share + treasury's fee + refund, to the last unit.
abstract contract Settlement is MarketplaceState {
    event SessionCompleted(uint256 indexed jobId, uint256 totalTokensUsed, uint256 hostEarnings, uint256 userRefund);
    event SessionCompletedBy(
        uint256 indexed jobId,
        address indexed completedBy,
        uint256 tokensUsed,
        uint256 paymentAmount,
        uint256 refundAmount
    );
    event SessionTimedOut(uint256 indexed jobId, uint256 hostEarnings, uint256 userRefund);
    event PaymentSent(address indexed recipient, uint256 amount);
    event RefundCreditedToDeposit(
        uint256 indexed jobId, address indexed depositor, uint256 amount, address indexed token
    );

    /// @notice Ends a session: the depositor at any time, the host after the dispute window.
    /// @dev `lastProofTime` starts as `startTime`, so it is the later of the two.
    /// Inference: the window is counted from the last proof, not from the start only.
    function completeSessionJob(uint256 jobId, string calldata conversationCID) external nonReentrant {
        address depositor = sessionJobs[jobId].depositor;
        bool byDepositor = msg.sender == depositor;
        require(byDepositor || msg.sender == sessionJobs[jobId].host, "Only host/depositor");
        SessionJob storage session = _active(jobId);
        require(byDepositor || block.timestamp >= session.lastProofTime + disputeWindow, "Dispute wait");

        session.status = SessionStatus.Completed;
        session.conversationCID = conversationCID;
        _settle(session, byDepositor);
    }

    /// @notice Ends a session that is too old or has been without a proof for too long. Anyone may call.
    function triggerSessionTimeout(uint256 jobId) external nonReentrant {
        SessionJob storage session = _active(jobId);
        require(
            block.timestamp > session.startTime + session.maxDuration
                || block.timestamp > session.lastProofTime + session.proofTimeoutWindow,
            "Session not timed out"
        );

        session.status = SessionStatus.TimedOut;
        (uint256 hostShare, uint256 refund) = _settle(session, false);
        emit SessionTimedOut(jobId, hostShare, refund);
    }

    /// @dev Books first, then payments: the host's share to the earnings ledger, then the refund. A refund that cannot
    /// be delivered becomes a deposit balance, so no depositor can keep a host from its share.
    function _settle(SessionJob storage session, bool byDepositor) private returns (uint256 hostShare, uint256 refund) {
        (hostShare, refund) = _divide(session, byDepositor);
        uint256 fee = session.deposit - hostShare - refund;
        address token = session.paymentToken;
        session.withdrawnByHost = hostShare;
        session.refundedToUser = refund;
        if (token == Money.NATIVE) accumulatedTreasuryNative += fee;
        else accumulatedTreasuryTokens[token] += fee;
        emit SessionCompleted(session.id, session.tokensUsed, hostShare, refund);
        emit SessionCompletedBy(session.id, msg.sender, session.tokensUsed, hostShare + fee, refund);

        if (hostShare > 0) {
            Money.send(token, address(hostEarnings), hostShare);
            hostEarnings.creditEarnings(session.host, hostShare, token);
        }
        if (refund > 0) _refund(session.id, session.depositor, token, refund);
    }

    /// @dev Inference: `PaymentSent` tells of a refund that was delivered.
    function _refund(uint256 jobId, address depositor, address token, uint256 amount) private {
        if (Money.push(token, depositor, amount)) {
            emit PaymentSent(depositor, amount);
        } else {
            _creditDeposit(depositor, token, amount);
            emit RefundCreditedToDeposit(jobId, depositor, amount, token);
        }
    }

    /// @dev The host keeps the unit lost in rounding the fee; the depositor the one lost in rounding the cost.
    /// Without any proof, a depositor who completes pays the host for `minTokensFee` tokens, with no treasury share.
    /// Inference: that fee is at most the deposit.
    function _divide(SessionJob storage session, bool byDepositor)
        private
        view
        returns (uint256 hostShare, uint256 refund)
    {
        uint256 deposit = session.deposit;
        if (session.tokensUsed == 0) {
            if (byDepositor) hostShare = _earlyCancelFee(deposit, session.pricePerToken);
            return (hostShare, deposit - hostShare);
        }
        uint256 gross = _cost(session.tokensUsed, session.pricePerToken);
        hostShare = gross - gross * feeBasisPoints / BASIS_POINTS;
        refund = deposit - gross;
    }

    /// @dev Compares tokens before it multiplies: a large fee cannot overflow, and a dear one costs the deposit.
    function _earlyCancelFee(uint256 deposit, uint256 pricePerToken) private view returns (uint256) {
        if (minTokensFee > deposit * PRICE_PRECISION / pricePerToken) return deposit;
        return _cost(minTokensFee, pricePerToken);
    }
}
