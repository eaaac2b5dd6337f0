// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Money} from "../Money.sol";
import {MarketplaceState} from "./MarketplaceState.sol";

/// @title Deposit balances
/// @notice Money a depositor keeps here to open sessions with, or got back as a credited refund.
/// @dev Invariant: a balance is withdrawable in full at any time, also while paused and also when its token is no
/// longer accepted.
abstract contract Deposits is MarketplaceState {
    event DepositReceived(address indexed depositor, uint256 amount, address indexed token);
    event WithdrawalProcessed(address indexed depositor, uint256 amount, address indexed token);

    function depositNative() external payable whenNotPaused nonReentrant {
        require(msg.value > 0, "Zero deposit");
        _creditDeposit(msg.sender, Money.NATIVE, msg.value);
        emit DepositReceived(msg.sender, msg.value, Money.NATIVE);
    }

    function depositToken(address token, uint256 amount) external whenNotPaused nonReentrant {
        require(acceptedTokens[token], "Token not accepted");
        require(amount > 0, "Zero deposit");
        _creditDeposit(msg.sender, token, amount);
        emit DepositReceived(msg.sender, amount, token);
        Money.take(token, msg.sender, amount);
    }

    function withdrawNative(uint256 amount) external nonReentrant {
        require(amount > 0, "Zero amount");
        require(amount <= userDepositsNative[msg.sender], "Insufficient balance");
        userDepositsNative[msg.sender] -= amount;
        emit WithdrawalProcessed(msg.sender, amount, Money.NATIVE);
        Money.send(Money.NATIVE, msg.sender, amount);
    }

    function withdrawToken(address token, uint256 amount) external nonReentrant {
        require(token != Money.NATIVE, "ERC20 only");
        require(amount > 0, "Zero amount");
        require(amount <= userDepositsToken[msg.sender][token], "Insufficient balance");
        userDepositsToken[msg.sender][token] -= amount;
        emit WithdrawalProcessed(msg.sender, amount, token);
        Money.send(token, msg.sender, amount);
    }

    /// @param token Zero for the native currency.
    function getDepositBalance(address account, address token) public view returns (uint256) {
        return token == Money.NATIVE ? userDepositsNative[account] : userDepositsToken[account][token];
    }

    function getDepositBalances(address account, address[] calldata tokens) external view returns (uint256[] memory) {
        uint256[] memory balances = new uint256[](tokens.length);
        for (uint256 i = 0; i < tokens.length; ++i) {
            balances[i] = getDepositBalance(account, tokens[i]);
        }
        return balances;
    }

    /// @notice What active sessions hold of the account's money beyond the work proven so far.
    /// @dev Reads every session of the account: for calls, not for transactions.
    function getLockedBalanceNative(address account) external view returns (uint256 locked) {
        return _locked(account, Money.NATIVE);
    }

    function getLockedBalanceToken(address account, address token) external view returns (uint256 locked) {
        return _locked(account, token);
    }

    function getTotalBalanceNative(address account) external view returns (uint256) {
        return userDepositsNative[account] + _locked(account, Money.NATIVE);
    }

    function getTotalBalanceToken(address account, address token) external view returns (uint256) {
        return userDepositsToken[account][token] + _locked(account, token);
    }

    function _locked(address account, address token) private view returns (uint256 locked) {
        uint256[] storage jobIds = userSessions[account];
        for (uint256 i = 0; i < jobIds.length; ++i) {
            SessionJob storage session = sessionJobs[jobIds[i]];
            if (session.status == SessionStatus.Active && session.paymentToken == token) {
                locked += session.deposit - _cost(session.tokensUsed, session.pricePerToken);
            }
        }
    }
}
