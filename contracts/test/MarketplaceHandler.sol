// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TestToken} from "../src/tokens/TestToken.sol";
import {Refusing} from "./Wallets.sol";
import {World} from "./World.sol";

/// @notice Uses the marketplace as a crowd would: several depositors (one a contract that at times refuses money),
/// hosts and tokens, every function that changes something, in any order. Keeps its own books.
/// @dev A call whose marketplace call reverts is undone as a whole, so the books hold only what happened.
contract MarketplaceHandler is World {
    address[3] public tokens;
    address[3] public depositors;
    address[2] public hosts;
    address private _delegate = makeAddr("delegate");
    Refusing private _wallet = new Refusing();

    mapping(address token => uint256) public moneyIn;
    mapping(address token => uint256) public moneyOut;
    bytes32[] public spentHashes;

    uint256 public opened;
    uint256 public settledWithWork;
    uint256 public settledWithoutWork;
    uint256 public timedOut;
    uint256 public refundsCredited;
    uint256 public replaysRefused;
    /// @dev Things that must not happen.
    uint256 public replaysAccepted;
    uint256 public idsOutOfOrder;
    uint256 public refundsInPart;

    constructor() {
        setUp();
        TestToken third = _token("Third", "THIRD", 18);
        market.addAcceptedToken(address(third), 1e15, 1e24);
        tokens = [NATIVE, address(usdc), address(third)];
        hosts = [host, makeAddr("second host")];
        _register(hosts[1]);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(hosts[i]);
            nodes.setModelTokenPricing(modelId, address(third), 100_000_000);
        }
        depositors = [depositor, makeAddr("second depositor"), address(_wallet)];
        for (uint256 i = 0; i < 3; ++i) {
            _fund(depositors[i]);
            third.mint(depositors[i], 1e24);
            vm.startPrank(depositors[i]);
            third.approve(address(market), type(uint256).max);
            market.authorizeDelegate(_delegate, true);
            vm.stopPrank();
        }
    }

    // What a depositor does

    function deposit(uint256 seed, uint256 amount) external {
        seed = _mix(seed);
        (address account, address token) = _choose(seed);
        amount = bound(amount, 1, _unit(token) * 100);
        vm.prank(account);
        if (token == NATIVE) market.depositNative{value: amount}();
        else market.depositToken(token, amount);
        moneyIn[token] += amount;
    }

    function withdraw(uint256 seed, uint256 amount) external {
        seed = _mix(seed);
        (address account, address token) = _choose(seed);
        uint256 balance = market.getDepositBalance(account, token);
        if (balance == 0) return;
        amount = bound(amount, 1, balance);
        vm.prank(account);
        if (token == NATIVE) market.withdrawNative(amount);
        else market.withdrawToken(token, amount);
        moneyOut[token] += amount;
    }

    function openDirectly(uint256 seed, uint256 amount, uint256 price) public {
        seed = _mix(seed);
        Ask memory ask = _chooseAsk(seed, amount, price);
        _opened(_open(ask));
        moneyIn[ask.token] += ask.deposit;
    }

    function openFromDeposit(uint256 seed, uint256 amount, uint256 price) external {
        seed = _mix(seed);
        Ask memory ask = _chooseAsk(seed, amount, price);
        uint256 balance = market.getDepositBalance(depositor, ask.token);
        if (balance < ask.deposit) {
            vm.prank(depositor);
            if (ask.token == NATIVE) market.depositNative{value: ask.deposit}();
            else market.depositToken(ask.token, ask.deposit);
            moneyIn[ask.token] += ask.deposit;
        }
        _opened(_openFromDeposit(ask));
    }

    function openAsDelegate(uint256 seed, uint256 amount, uint256 price) external {
        seed = _mix(seed);
        Ask memory ask = _chooseAsk(seed % 3 == 0 ? seed + 1 : seed, amount, price);
        _opened(_openAsDelegate(_delegate, ask));
        moneyIn[ask.token] += ask.deposit;
    }

    function changeDelegate(uint256 seed, bool authorized) external {
        seed = _mix(seed);
        vm.prank(depositors[seed % 3]);
        market.authorizeDelegate(_delegate, authorized || seed % 4 > 0);
    }

    function changeMindAboutMoney(bool accepting) external {
        _wallet.accept(accepting);
    }

    // What a host does

    function prove(uint256 seed, uint256 claimed) external {
        seed = _mix(seed);
        _proveMore(_chooseActive(seed), claimed);
    }

    function replay(uint256 seed) external {
        seed = _mix(seed);
        if (spentHashes.length == 0) _proveMore(_chooseActive(seed), seed);
        openDirectly(seed, seed, 0);
        Session memory chosen = _session(opened);
        skip(1000);
        vm.prank(chosen.host);
        try market.submitProofOfWork(chosen.id, chosen.interval, spentHashes[seed % spentHashes.length], "", "") {
            replaysAccepted += 1;
        } catch Error(string memory reason) {
            if (keccak256(bytes(reason)) == keccak256("Proof used")) replaysRefused += 1;
        }
    }

    function withdrawEarnings(uint256 seed, uint256 amount) external {
        seed = _mix(seed);
        address account = hosts[seed % 2];
        address token = tokens[seed / 2 % 3];
        uint256 balance = earnings.getBalance(account, token);
        if (balance == 0) return;
        amount = bound(amount, 1, balance);
        vm.prank(account);
        if (seed % 5 == 0) {
            earnings.withdrawAll(token);
            amount = balance;
        } else if (seed % 5 == 1) {
            earnings.withdrawMultiple(_one(token));
            amount = balance;
        } else {
            earnings.withdraw(amount, token);
        }
        moneyOut[token] += amount;
    }

    // How sessions end

    function completeByDepositor(uint256 seed, uint256 claimed) external {
        seed = _mix(seed);
        Session memory chosen = _chooseActive(seed);
        if (claimed % 4 > 0) _proveMore(chosen, claimed);
        uint256 before = _balance(chosen.token, chosen.depositor);
        _complete(chosen.depositor, chosen.id);
        _settled(chosen, before);
    }

    function completeByHost(uint256 seed, uint256 wait, uint256 claimed) external {
        seed = _mix(seed);
        Session memory chosen = _chooseActive(seed);
        if (claimed % 4 > 0) _proveMore(chosen, claimed);
        skip(bound(wait, DISPUTE_WINDOW * 3 / 4, 2 * DISPUTE_WINDOW));
        uint256 before = _balance(chosen.token, chosen.depositor);
        _complete(chosen.host, chosen.id);
        _settled(chosen, before);
    }

    function timeOut(uint256 seed, uint256 wait) external {
        seed = _mix(seed);
        Session memory chosen = _chooseActive(seed);
        skip(bound(wait, 0, 1000));
        uint256 before = _balance(chosen.token, chosen.depositor);
        vm.prank(stranger);
        market.triggerSessionTimeout(chosen.id);
        timedOut += 1;
        _settled(chosen, before);
    }

    // What treasury and owner do

    function withdrawFees(uint256 seed) external {
        seed = _mix(seed);
        if (seed % 4 == 3) return _withdrawAllFees();
        address token = tokens[seed % 4];
        uint256 amount = _treasuryFees(token);
        if (amount == 0) return;
        vm.prank(treasury);
        if (token == NATIVE) market.withdrawTreasuryNative();
        else market.withdrawTreasuryTokens(token);
        moneyOut[token] += amount;
    }

    function pauseOrGoOn(uint256 seed) external {
        seed = _mix(seed);
        if (market.paused()) market.unpause();
        else if (seed % 8 == 0) market.pause();
    }

    function changeSettings(uint256 seed) external {
        seed = _mix(seed);
        uint256 choice = seed % 6;
        uint256 value = seed / 6;
        if (choice == 0) market.setMinTokensFee(bound(value, 0, 100_000));
        if (choice == 1) models.setModelRateLimit(modelId, bound(value, 1000, 1_000_000));
        if (choice == 2) market.updateTokenMinDeposit(tokens[2], bound(value, 1, 1e16));
        if (choice == 3) market.updateTokenMaxDeposit(tokens[2], bound(value, 1e20, 1e24));
        if (choice == 4) market.upgradeToAndCall(_implementation("JobMarketplace"), "");
        if (choice == 5) market.setUsdcAddress(address(usdc));
    }

    // What the invariants ask

    function heldByMarket(address token) external view returns (uint256) {
        return _balance(token, address(market));
    }

    function heldByEarnings(address token) external view returns (uint256) {
        return _balance(token, address(earnings));
    }

    function depositBalances(address token) external view returns (uint256 sum) {
        for (uint256 i = 0; i < 3; ++i) {
            sum += market.getDepositBalance(depositors[i], token);
        }
    }

    function treasuryFees(address token) external view returns (uint256) {
        return _treasuryFees(token);
    }

    function owedToHosts(address token) external view returns (uint256 sum, uint256 outstanding) {
        (,, outstanding) = earnings.getTokenStats(token);
        sum = earnings.getBalance(hosts[0], token) + earnings.getBalance(hosts[1], token);
    }

    function session(uint256 jobId) external view returns (Session memory) {
        return _session(jobId);
    }

    function proofsOf(uint256 jobId) external view returns (uint256 count, uint256 claimed) {
        while (true) {
            try market.getProofSubmission(jobId, count) returns (bytes32, uint256 some, uint256, bool, string memory) {
                claimed += some;
                count += 1;
            } catch {
                return (count, claimed);
            }
        }
    }

    function spentHashCount() external view returns (uint256) {
        return spentHashes.length;
    }

    function _opened(uint256 jobId) private {
        opened += 1;
        if (jobId != opened || market.nextJobId() != opened + 1) idsOutOfOrder += 1;
    }

    /// @dev Tokens that the next proof may claim, at least and at most (within a few minutes).
    function _claimable(Session memory chosen) private pure returns (uint256 least, uint256 most) {
        least = chosen.tokensUsed == 0 ? chosen.interval : 100;
        most = chosen.deposit * 1000 / chosen.price - chosen.tokensUsed;
        if (most > 500_000) most = 500_000;
    }

    function _proveMore(Session memory chosen, uint256 claimed) private {
        (uint256 least, uint256 most) = _claimable(chosen);
        if (most < least) return;
        claimed = bound(claimed, least, most);
        host = chosen.host;
        bytes32 hash = keccak256(abi.encode("proof", spentHashes.length));
        skip(claimed / models.getModelRateLimit(modelId) + 1);
        _claim(chosen.id, claimed, hash);
        spentHashes.push(hash);
    }

    function _settled(Session memory chosen, uint256 balanceBefore) private {
        Session memory ended = _session(chosen.id);
        uint256 paid = _balance(ended.token, ended.depositor) - balanceBefore;
        moneyOut[ended.token] += paid;
        if (ended.refundedToUser > 0 && paid == 0) refundsCredited += 1;
        else if (paid != ended.refundedToUser) refundsInPart += 1;
        if (ended.tokensUsed > 0) settledWithWork += 1;
        else settledWithoutWork += 1;
    }

    function _withdrawAllFees() private {
        address[] memory list = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            list[i] = tokens[i];
            moneyOut[tokens[i]] += _treasuryFees(tokens[i]);
        }
        vm.prank(treasury);
        market.withdrawAllTreasuryFees(list);
    }

    function _choose(uint256 seed) private view returns (address account, address token) {
        return (depositors[seed / 3 % 3], tokens[seed % 3]);
    }

    /// @dev Also makes the chosen depositor the one of the helpers.
    function _chooseAsk(uint256 seed, uint256 amount, uint256 price) private returns (Ask memory ask) {
        address token;
        (depositor, token) = _choose(seed);
        ask = _ask(token);
        ask.host = hosts[seed / 9 % 2];
        ask.deposit = bound(amount, _unit(token) / 100 * 50, _unit(token) * 100);
        ask.price = bound(price, nodes.getModelPricing(ask.host, modelId, token), ask.deposit);
        ask.interval = bound(seed / 18, 100, 1000);
    }

    /// @dev Opens a session when none is active.
    function _chooseActive(uint256 seed) private returns (Session memory chosen) {
        for (uint256 i = 0; i < opened; ++i) {
            chosen = _session(1 + (seed % opened + i) % opened);
            if (chosen.status == ACTIVE) return chosen;
        }
        openDirectly(seed, seed / 3, 0);
        return _session(opened);
    }

    /// @dev About a dollar.
    function _unit(address token) private view returns (uint256) {
        if (token == NATIVE) return 0.001 ether;
        return token == address(usdc) ? 1e6 : 1e18;
    }
}
