// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {JobMarketplace} from "./Deployed.sol";
import {World} from "./World.sol";

contract DepositsTest is World {
    function test_a_deposit_is_credited_and_announced() public {
        vm.startPrank(depositor);
        vm.expectEmit(address(market));
        emit JobMarketplace.DepositReceived(depositor, 1 ether, NATIVE);
        market.depositNative{value: 1 ether}();
        vm.expectEmit(address(market));
        emit JobMarketplace.DepositReceived(depositor, 5e6, address(usdc));
        market.depositToken(address(usdc), 5e6);
        vm.stopPrank();
        vm.assertEq(market.getDepositBalance(depositor, NATIVE), 1 ether);
        vm.assertEq(market.getDepositBalance(depositor, address(usdc)), 5e6);
        address[] memory tokens = new address[](2);
        tokens[1] = address(usdc);
        uint256[] memory balances = market.getDepositBalances(depositor, tokens);
        vm.assertEq(balances[0], 1 ether);
        vm.assertEq(balances[1], 5e6);
    }

    function test_a_deposit_is_of_something() public {
        vm.startPrank(depositor);
        _refuses("Zero deposit");
        market.depositNative();
        _refuses("Zero deposit");
        market.depositToken(address(usdc), 0);
        _refuses("Token not accepted");
        market.depositToken(address(fab), 1);
    }

    function test_a_deposit_without_the_money_is_refused() public {
        vm.prank(stranger);
        vm.expectRevert();
        market.depositToken(address(usdc), 1);
    }

    function test_a_withdrawal_is_paid_and_announced() public {
        _deposit();
        vm.startPrank(depositor);
        uint256 native = depositor.balance;
        uint256 tokens = usdc.balanceOf(depositor);
        vm.expectEmit(address(market));
        emit JobMarketplace.WithdrawalProcessed(depositor, 0.4 ether, NATIVE);
        market.withdrawNative(0.4 ether);
        vm.expectEmit(address(market));
        emit JobMarketplace.WithdrawalProcessed(depositor, 2e6, address(usdc));
        market.withdrawToken(address(usdc), 2e6);
        vm.assertEq(depositor.balance - native, 0.4 ether);
        vm.assertEq(usdc.balanceOf(depositor) - tokens, 2e6);
        vm.assertEq(market.userDepositsNative(depositor), 0.6 ether);
        vm.assertEq(market.userDepositsToken(depositor, address(usdc)), 3e6);
    }

    function test_a_withdrawal_keeps_to_the_balance() public {
        _deposit();
        vm.startPrank(depositor);
        _refuses("Insufficient balance");
        market.withdrawNative(1 ether + 1);
        _refuses("Insufficient balance");
        market.withdrawToken(address(usdc), 5e6 + 1);
        _refuses("Zero amount");
        market.withdrawNative(0);
        _refuses("Zero amount");
        market.withdrawToken(address(usdc), 0);
        _refuses("ERC20 only");
        market.withdrawToken(NATIVE, 1);
        vm.stopPrank();
        vm.prank(stranger);
        _refuses("Insufficient balance");
        market.withdrawNative(1);
    }

    function test_a_withdrawal_that_cannot_be_paid_changes_nothing() public {
        vm.deal(address(this), 1 ether);
        market.depositNative{value: 1 ether}();
        _refuses("Transfer failed"); // this contract takes no money
        market.withdrawNative(1 ether);
        vm.assertEq(market.userDepositsNative(address(this)), 1 ether);
    }

    function test_a_pause_stops_deposits_but_no_withdrawals() public {
        _deposit();
        market.pause();
        vm.startPrank(depositor);
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        market.depositNative{value: 1}();
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        market.depositToken(address(usdc), 1);
        market.withdrawNative(1 ether);
        market.withdrawToken(address(usdc), 5e6);
    }

    function test_a_dropped_token_can_still_be_withdrawn() public {
        _deposit();
        market.setUsdcAddress(address(fab));
        vm.prank(depositor);
        market.withdrawToken(address(usdc), 5e6);
    }

    function test_locked_money_is_the_unproven_part_of_active_sessions() public {
        _deposit();
        uint256 first = _open(address(usdc));
        _open(NATIVE);
        vm.assertEq(market.getLockedBalanceToken(depositor, address(usdc)), 10e6);
        vm.assertEq(market.getLockedBalanceNative(depositor), 0.01 ether);
        _prove(first, 1000);
        vm.assertEq(market.getLockedBalanceToken(depositor, address(usdc)), 10e6 - 5000);
        vm.assertEq(market.getTotalBalanceToken(depositor, address(usdc)), 15e6 - 5000);
        vm.assertEq(market.getTotalBalanceNative(depositor), 1.01 ether);
        _complete(depositor, first);
        vm.assertEq(market.getLockedBalanceToken(depositor, address(usdc)), 0);
        vm.assertEq(market.getTotalBalanceToken(depositor, address(usdc)), 5e6);
    }

    function testFuzz_what_goes_in_comes_out(uint256 native, uint256 tokens, uint256 part) public {
        native = bound(native, 1, 10_000 ether);
        tokens = bound(tokens, 1, 10_000_000e6);
        uint256 nativeBefore = depositor.balance;
        uint256 tokensBefore = usdc.balanceOf(depositor);
        vm.startPrank(depositor);
        market.depositNative{value: native}();
        market.depositToken(address(usdc), tokens);
        uint256 nativePart = bound(part, 0, native);
        uint256 tokenPart = bound(part, 0, tokens);
        if (nativePart > 0) market.withdrawNative(nativePart);
        if (tokenPart > 0) market.withdrawToken(address(usdc), tokenPart);
        if (native > nativePart) market.withdrawNative(native - nativePart);
        if (tokens > tokenPart) market.withdrawToken(address(usdc), tokens - tokenPart);
        vm.assertEq(depositor.balance, nativeBefore);
        vm.assertEq(usdc.balanceOf(depositor), tokensBefore);
        vm.assertEq(address(market).balance, 0);
        vm.assertEq(usdc.balanceOf(address(market)), 0);
    }

    function _deposit() private {
        vm.startPrank(depositor);
        market.depositNative{value: 1 ether}();
        market.depositToken(address(usdc), 5e6);
        vm.stopPrank();
    }
}
