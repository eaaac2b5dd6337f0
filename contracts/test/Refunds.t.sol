// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {JobMarketplace} from "./Deployed.sol";
import {GasBurning, Reentrant, Refusing, Verbose} from "./Wallets.sol";
import {World} from "./World.sol";

contract RefundsTest is World {
    function test_a_depositor_that_refuses_money_gets_a_deposit_balance() public {
        Refusing wallet = new Refusing();
        uint256 jobId = _openFor(wallet);
        vm.expectEmit(address(market));
        emit JobMarketplace.RefundCreditedToDeposit(jobId, address(wallet), 0.01 ether, NATIVE);
        market.triggerSessionTimeout(jobId);
        vm.assertEq(market.userDepositsNative(address(wallet)), 0.01 ether);
        vm.assertEq(_session(jobId).refundedToUser, 0.01 ether);

        wallet.accept(true);
        wallet.run(abi.encodeCall(market.withdrawNative, (0.01 ether)), 0);
        vm.assertEq(address(wallet).balance, 0.01 ether);
        vm.assertEq(address(market).balance, 0);
    }

    function test_a_depositor_that_refuses_money_cannot_keep_the_host_from_its_share() public {
        Refusing wallet = new Refusing();
        uint256 jobId = _openFor(wallet);
        _claim(jobId, 1000, keccak256("proof"));
        skip(DISPUTE_WINDOW);
        _complete(host, jobId);
        vm.assertEq(earnings.getBalance(host, NATIVE), 2_700_000_000);
        vm.assertEq(market.userDepositsNative(address(wallet)), 0.01 ether - 3_000_000_000);
    }

    function test_a_depositor_that_burns_gas_or_returns_much_costs_little() public {
        for (uint256 i = 0; i < 2; ++i) {
            Refusing wallet = i == 0 ? Refusing(new GasBurning()) : new Verbose();
            uint256 jobId = _openFor(wallet);
            uint256 before = gasleft();
            market.triggerSessionTimeout(jobId);
            vm.assertLt(before - gasleft(), 350_000);
            vm.assertEq(market.userDepositsNative(address(wallet)), 0.01 ether);
        }
    }

    function test_a_smart_account_is_paid_directly() public {
        Refusing wallet = new Refusing();
        uint256 jobId = _openFor(wallet);
        wallet.accept(true);
        market.triggerSessionTimeout(jobId);
        vm.assertEq(address(wallet).balance, 0.01 ether);
        vm.assertEq(market.userDepositsNative(address(wallet)), 0);
    }

    function test_a_caller_cannot_make_a_refund_fail_by_giving_little_gas() public {
        Refusing wallet = new Refusing();
        uint256 jobId = _openFor(wallet);
        wallet.accept(true);
        uint256 settled;
        for (uint256 gasLimit = 60_000; gasLimit < 400_000; gasLimit += 2500) {
            try market.triggerSessionTimeout{gas: gasLimit}(jobId) {
                settled = gasLimit;
                break;
            } catch {}
        }
        vm.assertGt(settled, 0);
        vm.assertEq(address(wallet).balance, 0.01 ether);
    }

    function test_a_depositor_that_reenters_gains_nothing() public {
        Reentrant wallet = new Reentrant(market);
        vm.deal(address(this), 1 ether);
        wallet.run{value: 1 ether}(abi.encodeCall(market.depositNative, ()), 1 ether);
        uint256 jobId = _openFor(wallet);
        wallet.attack(jobId);
        market.triggerSessionTimeout(jobId);
        vm.assertGt(wallet.attempts(), 0);
        vm.assertEq(wallet.successes(), 0);
        // Refund delivered once, deposit untouched.
        vm.assertEq(address(wallet).balance, 0.01 ether);
        vm.assertEq(market.userDepositsNative(address(wallet)), 1 ether);
        vm.assertEq(address(market).balance, 1 ether);

        wallet.run(abi.encodeCall(market.withdrawNative, (1 ether)), 0);
        vm.assertEq(wallet.successes(), 0);
        vm.assertEq(address(wallet).balance, 1.01 ether);
        vm.assertEq(address(market).balance, 0);
    }

    function test_a_token_refund_that_fails_is_credited() public {
        Blocking token = new Blocking();
        market.addAcceptedToken(address(token), 1, 100e6);
        vm.prank(host);
        nodes.setModelTokenPricing(modelId, address(token), USDC_PRICE);
        Ask memory ask = _ask(address(token));
        for (uint256 way = 0; way < 3; ++way) {
            uint256 jobId = _open(ask);
            _prove(jobId, 1000);
            token.blockPayments(depositor, way);
            skip(301);
            vm.expectEmit(address(market));
            emit JobMarketplace.RefundCreditedToDeposit(jobId, depositor, 10e6 - 5000, address(token));
            market.triggerSessionTimeout(jobId);
            vm.assertEq(market.userDepositsToken(depositor, address(token)), 10e6 - 5000);
            vm.assertEq(earnings.getBalance(host, address(token)), 4500 * (way + 1));
            token.blockPayments(address(0), 0);
            vm.prank(depositor);
            market.withdrawToken(address(token), 10e6 - 5000);
        }
        vm.assertEq(token.balanceOf(address(market)), 1500);
    }

    /// @dev A session of 0.01 ether that is already old enough to time out.
    function _openFor(Refusing wallet) private returns (uint256 jobId) {
        vm.deal(address(this), 10 ether);
        jobId = market.nextJobId();
        Ask memory ask = _ask(NATIVE);
        wallet.connect(market);
        wallet.run{value: ask.deposit}(
            abi.encodeCall(market.createSessionJobForModel, (host, modelId, ask.price, ask.maxDuration, 100, 300)),
            ask.deposit
        );
        skip(301);
    }
}

/// @notice A token with a block list, which fails in each of the ways a token can.
contract Blocking {
    mapping(address => uint256) public balanceOf;
    address private _blocked;
    uint256 private _way;

    function blockPayments(address account, uint256 way) external {
        _blocked = account;
        _way = way;
    }

    function transferFrom(address, address to, uint256 amount) external returns (bool) {
        balanceOf[to] += amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        if (to == _blocked) {
            if (_way == 0) revert("blocked");
            if (_way == 1) return false;
            while (true) {}
        }
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}
