// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IProofSystem} from "../interfaces/IProofSystem.sol";
import {Money} from "../Money.sol";
import {MarketplaceState} from "./MarketplaceState.sol";

/// @title Settings, pausing and the treasury
/// @dev Invariants: no setting changes an open session, and nobody but the treasury is paid the accumulated fees,
/// which are all it is ever paid.
abstract contract Administration is MarketplaceState {
    event TokenAccepted(address indexed token, uint256 minDeposit, uint256 maxDeposit);
    event TokenMinDepositUpdated(address indexed token, uint256 oldMinDeposit, uint256 newMinDeposit);
    event TokenMaxDepositUpdated(address indexed token, uint256 oldMaxDeposit, uint256 newMaxDeposit);
    event TreasuryWithdrawal(address indexed token, uint256 amount);
    event ContractPaused(address indexed by);
    event ContractUnpaused(address indexed by);

    /// @notice Stops deposits, new sessions and proofs. Settling and withdrawing stay open.
    function pause() external onlyTreasuryOrOwner {
        _pause();
        emit ContractPaused(msg.sender);
    }

    function unpause() external onlyTreasuryOrOwner {
        _unpause();
        emit ContractUnpaused(msg.sender);
    }

    function setProofSystem(address _proofSystem) external onlyTreasuryOrOwner {
        require(_proofSystem != address(0), "Invalid proof system");
        proofSystem = IProofSystem(_proofSystem);
    }

    /// @notice Writes down facts about the chain, once.
    /// @dev Inference: they are for readers; no rule of this contract uses them.
    function initializeChainConfig(ChainConfig calldata _config) external onlyTreasuryOrOwner {
        require(bytes(chainConfig.nativeTokenSymbol).length == 0, "Already configured");
        require(bytes(_config.nativeTokenSymbol).length > 0, "Empty symbol");
        chainConfig = _config;
    }

    function addAcceptedToken(address token, uint256 minDeposit, uint256 maxDeposit) external onlyTreasuryOrOwner {
        require(!acceptedTokens[token], "Token already accepted");
        _acceptToken(token, minDeposit, maxDeposit);
    }

    function updateTokenMinDeposit(address token, uint256 minDeposit) external onlyTreasuryOrOwner {
        require(acceptedTokens[token], "Token not accepted");
        require(minDeposit > 0 && minDeposit <= tokenMaxDeposits[token], "Invalid minimum");
        emit TokenMinDepositUpdated(token, tokenMinDeposits[token], minDeposit);
        tokenMinDeposits[token] = minDeposit;
    }

    function updateTokenMaxDeposit(address token, uint256 maxDeposit) external onlyTreasuryOrOwner {
        require(acceptedTokens[token], "Token not accepted");
        require(_isMaximum(maxDeposit, tokenMinDeposits[token]), "Invalid maximum");
        emit TokenMaxDepositUpdated(token, tokenMaxDeposits[token], maxDeposit);
        tokenMaxDeposits[token] = maxDeposit;
    }

    function setTreasury(address _treasury) external onlyOwner {
        require(_treasury != address(0), "Invalid treasury");
        treasuryAddress = _treasury;
    }

    /// @notice Replaces the token that counts as USDC: the old one is no longer accepted for new sessions.
    function setUsdcAddress(address _usdc) external onlyOwner {
        _dropToken(usdcAddress);
        usdcAddress = _usdc;
        _acceptToken(_usdc, USDC_MIN_DEPOSIT, USDC_MAX_DEPOSIT);
    }

    function setMinTokensFee(uint256 _fee) external onlyOwner {
        minTokensFee = _fee;
    }

    function withdrawTreasuryNative() external onlyTreasury nonReentrant {
        require(_withdrawTreasury(Money.NATIVE), "No fees");
    }

    function withdrawTreasuryTokens(address token) external onlyTreasury nonReentrant {
        require(token != Money.NATIVE, "ERC20 only");
        require(_withdrawTreasury(token), "No fees");
    }

    /// @notice Withdraws native fees and those in each of the tokens, leaving out what is empty.
    function withdrawAllTreasuryFees(address[] calldata tokens) external onlyTreasury nonReentrant {
        _withdrawTreasury(Money.NATIVE);
        for (uint256 i = 0; i < tokens.length; ++i) {
            _withdrawTreasury(tokens[i]);
        }
    }

    function _acceptToken(address token, uint256 minDeposit, uint256 maxDeposit) internal {
        require(token != address(0), "Invalid token");
        require(minDeposit > 0, "Invalid minimum");
        require(_isMaximum(maxDeposit, minDeposit), "Invalid maximum");
        acceptedTokens[token] = true;
        tokenMinDeposits[token] = minDeposit;
        tokenMaxDeposits[token] = maxDeposit;
        emit TokenAccepted(token, minDeposit, maxDeposit);
    }

    /// @dev The upper bound keeps `deposit * PRICE_PRECISION` and `gross * BASIS_POINTS` from overflowing.
    function _isMaximum(uint256 maxDeposit, uint256 minDeposit) private pure returns (bool) {
        return maxDeposit >= minDeposit && maxDeposit <= type(uint128).max;
    }

    function _dropToken(address token) private {
        acceptedTokens[token] = false;
        tokenMinDeposits[token] = 0;
        tokenMaxDeposits[token] = 0;
    }

    function _withdrawTreasury(address token) private returns (bool) {
        uint256 amount;
        if (token == Money.NATIVE) {
            amount = accumulatedTreasuryNative;
            accumulatedTreasuryNative = 0;
        } else {
            amount = accumulatedTreasuryTokens[token];
            accumulatedTreasuryTokens[token] = 0;
        }
        if (amount == 0) return false;
        emit TreasuryWithdrawal(token, amount);
        Money.send(token, treasuryAddress, amount);
        return true;
    }
}
