// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IHostEarnings} from "./interfaces/IHostEarnings.sol";
import {Money} from "./Money.sol";

/// @title Earnings of hosts
/// @notice Holds what hosts have earned until they withdraw it. Token zero is the native currency.
/// @dev Invariants, for each token: `totalAccumulated - totalWithdrawn` is the sum of all balances, and the contract
/// holds at least that much. Whatever it holds above is surplus, which the owner may rescue.
contract HostEarnings is Initializable, OwnableUpgradeable, UUPSUpgradeable, ReentrancyGuardTransient, IHostEarnings {
    mapping(address host => mapping(address token => uint256)) private _balances;
    mapping(address => uint256) public totalAccumulated;
    mapping(address => uint256) public totalWithdrawn;
    mapping(address => bool) public authorizedCallers;

    event EarningsCredited(address indexed host, address indexed token, uint256 amount, uint256 newBalance);
    event EarningsWithdrawn(address indexed host, address indexed token, uint256 amount, uint256 remainingBalance);
    event CallerAuthorized(address indexed caller, bool authorized);

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    function initialize() external initializer {
        __Ownable_init(msg.sender);
    }

    /// @notice Native currency comes only from those who credit it to a host.
    receive() external payable {
        require(authorizedCallers[msg.sender], "Unauthorized sender");
    }

    function setAuthorizedCaller(address caller, bool authorized) external onlyOwner {
        require(caller != address(0), "Invalid caller");
        authorizedCallers[caller] = authorized;
        emit CallerAuthorized(caller, authorized);
    }

    /// @inheritdoc IHostEarnings
    /// @dev Inference: a credit that the contract does not hold is refused, so that no host is paid with another's money.
    function creditEarnings(address host, uint256 amount, address token) external {
        require(authorizedCallers[msg.sender], "Not authorized");
        require(host != address(0), "Invalid host");
        require(amount > 0, "Zero amount");

        uint256 newBalance = _balances[host][token] + amount;
        _balances[host][token] = newBalance;
        totalAccumulated[token] += amount;
        require(Money.held(token) >= _outstanding(token), "Not funded");
        emit EarningsCredited(host, token, amount, newBalance);
    }

    function withdraw(uint256 amount, address token) external nonReentrant {
        require(amount > 0, "Zero amount");
        require(amount <= _balances[msg.sender][token], "Insufficient balance");
        _withdraw(amount, token);
    }

    function withdrawAll(address token) external nonReentrant {
        uint256 amount = _balances[msg.sender][token];
        require(amount > 0, "No earnings");
        _withdraw(amount, token);
    }

    /// @notice Withdraws everything in each of the tokens, leaving out those without a balance.
    function withdrawMultiple(address[] calldata tokens) external nonReentrant {
        for (uint256 i = 0; i < tokens.length; ++i) {
            uint256 amount = _balances[msg.sender][tokens[i]];
            if (amount > 0) _withdraw(amount, tokens[i]);
        }
    }

    /// @notice Takes what was sent here by mistake: never more than the surplus over what hosts are owed.
    function rescueTokens(address token, uint256 amount) external onlyOwner nonReentrant {
        require(amount > 0, "Zero amount");
        require(amount + _outstanding(token) <= Money.held(token), "Exceeds surplus");
        Money.send(token, msg.sender, amount);
    }

    function getBalance(address host, address token) external view returns (uint256) {
        return _balances[host][token];
    }

    function getBalances(address host, address[] calldata tokens) external view returns (uint256[] memory balances) {
        balances = new uint256[](tokens.length);
        for (uint256 i = 0; i < tokens.length; ++i) {
            balances[i] = _balances[host][tokens[i]];
        }
    }

    function getTokenStats(address token)
        external
        view
        returns (uint256 accumulated, uint256 withdrawn, uint256 outstanding)
    {
        return (totalAccumulated[token], totalWithdrawn[token], _outstanding(token));
    }

    function _withdraw(uint256 amount, address token) private {
        uint256 remaining = _balances[msg.sender][token] - amount;
        _balances[msg.sender][token] = remaining;
        totalWithdrawn[token] += amount;
        emit EarningsWithdrawn(msg.sender, token, amount, remaining);
        Money.send(token, msg.sender, amount);
    }

    function _outstanding(address token) private view returns (uint256) {
        return totalAccumulated[token] - totalWithdrawn[token];
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}
}
