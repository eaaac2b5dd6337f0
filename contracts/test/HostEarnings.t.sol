// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {HostEarnings} from "./Deployed.sol";
import {World} from "./World.sol";

contract HostEarningsTest is World {
    address private caller = makeAddr("caller");

    function setUp() public override {
        super.setUp();
        earnings.setAuthorizedCaller(caller, true);
        vm.deal(caller, 100 ether);
    }

    function test_a_host_withdraws_what_it_has_earned() public {
        _credit(NATIVE, 3 ether);
        _credit(address(usdc), 5e6);
        vm.startPrank(host);
        vm.expectEmit(address(earnings));
        emit HostEarnings.EarningsWithdrawn(host, NATIVE, 1 ether, 2 ether);
        earnings.withdraw(1 ether, NATIVE);
        earnings.withdrawAll(NATIVE);
        earnings.withdraw(5e6, address(usdc));
        vm.assertEq(host.balance, 3 ether);
        vm.assertEq(usdc.balanceOf(host), 5e6);
        _refuses("Insufficient balance");
        earnings.withdraw(1, NATIVE);
        _refuses("No earnings");
        earnings.withdrawAll(NATIVE);
        _refuses("Zero amount");
        earnings.withdraw(0, NATIVE);
    }

    function test_a_host_withdraws_several_tokens_at_once() public {
        _credit(NATIVE, 3 ether);
        _credit(address(usdc), 5e6);
        address[] memory tokens = new address[](4);
        (tokens[1], tokens[2], tokens[3]) = (address(fab), address(usdc), address(usdc));
        vm.prank(host);
        earnings.withdrawMultiple(tokens);
        vm.assertEq(host.balance, 3 ether);
        vm.assertEq(usdc.balanceOf(host), 5e6);
    }

    function test_the_books_say_what_came_in_and_went_out() public {
        _credit(address(usdc), 5e6);
        _credit(address(usdc), 1e6);
        vm.prank(host);
        earnings.withdraw(2e6, address(usdc));
        (uint256 accumulated, uint256 withdrawn, uint256 outstanding) = earnings.getTokenStats(address(usdc));
        vm.assertEq(accumulated, 6e6);
        vm.assertEq(withdrawn, 2e6);
        vm.assertEq(outstanding, 4e6);
        vm.assertEq(earnings.getBalance(host, address(usdc)), 4e6);
        vm.assertEq(earnings.getBalances(host, _one(address(usdc)))[0], 4e6);
    }

    function test_only_authorised_callers_credit() public {
        _refuses("Not authorized");
        earnings.creditEarnings(host, 1, NATIVE);
        earnings.setAuthorizedCaller(caller, false);
        vm.prank(caller);
        _refuses("Not authorized");
        earnings.creditEarnings(host, 1, NATIVE);
    }

    function test_a_credit_names_a_host_and_an_amount() public {
        vm.startPrank(caller);
        _refuses("Invalid host");
        earnings.creditEarnings(address(0), 1, NATIVE);
        _refuses("Zero amount");
        earnings.creditEarnings(host, 0, NATIVE);
    }

    function test_a_credit_without_the_money_is_refused() public {
        _credit(NATIVE, 1 ether);
        vm.startPrank(caller);
        _refuses("Not funded");
        earnings.creditEarnings(stranger, 1, NATIVE);
        _refuses("Not funded");
        earnings.creditEarnings(stranger, 1, address(usdc));
    }

    function test_only_authorised_callers_send_native_money() public {
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        (bool ok,) = address(earnings).call{value: 1}("");
        vm.assertFalse(ok);
    }

    function test_the_owner_rescues_only_the_surplus() public {
        _credit(address(usdc), 5e6);
        usdc.mint(address(earnings), 7);
        _refuses("Exceeds surplus");
        earnings.rescueTokens(address(usdc), 8);
        earnings.rescueTokens(address(usdc), 7);
        vm.assertEq(usdc.balanceOf(address(this)), 7);
        _refuses("Exceeds surplus");
        earnings.rescueTokens(address(usdc), 1);
        _refuses("Zero amount");
        earnings.rescueTokens(address(usdc), 0);
        _refusesStranger(stranger);
        earnings.rescueTokens(address(usdc), 1);
    }

    function test_the_owner_authorises_callers() public {
        vm.expectEmit(address(earnings));
        emit HostEarnings.CallerAuthorized(stranger, true);
        earnings.setAuthorizedCaller(stranger, true);
        vm.assertTrue(earnings.authorizedCallers(stranger));
        _refuses("Invalid caller");
        earnings.setAuthorizedCaller(address(0), true);
        _refusesStranger(host);
        earnings.setAuthorizedCaller(host, true);
    }

    function test_a_host_that_reenters_is_paid_once() public {
        GreedyHost greedy = new GreedyHost(earnings);
        vm.startPrank(caller);
        (bool ok,) = address(earnings).call{value: 5 ether}("");
        vm.assertTrue(ok);
        earnings.creditEarnings(address(greedy), 1 ether, NATIVE);
        earnings.creditEarnings(host, 4 ether, NATIVE);
        vm.stopPrank();
        greedy.withdraw();
        vm.assertEq(address(greedy).balance, 1 ether);
        vm.assertTrue(greedy.reentered());
        vm.assertEq(address(earnings).balance, 4 ether);
    }

    function test_a_host_that_refuses_money_keeps_its_balance() public {
        vm.startPrank(caller);
        (bool ok,) = address(earnings).call{value: 1 ether}("");
        vm.assertTrue(ok);
        earnings.creditEarnings(address(this), 1 ether, NATIVE);
        vm.stopPrank();
        _refuses("Transfer failed"); // this contract takes no money
        earnings.withdrawAll(NATIVE);
        vm.assertEq(earnings.getBalance(address(this), NATIVE), 1 ether);
    }

    function testFuzz_credits_come_out_to_the_unit(uint96 first, uint96 second, uint256 part) public {
        vm.assume(first > 0 && second > 0);
        _credit(address(usdc), first);
        _credit(address(usdc), second);
        uint256 whole = uint256(first) + second;
        part = bound(part, 1, whole);
        vm.startPrank(host);
        earnings.withdraw(part, address(usdc));
        if (part < whole) earnings.withdrawAll(address(usdc));
        vm.assertEq(usdc.balanceOf(host), whole);
        vm.assertEq(usdc.balanceOf(address(earnings)), 0);
    }

    function _credit(address token, uint256 amount) private {
        vm.startPrank(caller);
        if (token == NATIVE) {
            (bool ok,) = address(earnings).call{value: amount}("");
            vm.assertTrue(ok);
        } else {
            usdc.mint(address(earnings), amount);
        }
        uint256 balance = earnings.getBalance(host, token);
        vm.expectEmit(address(earnings));
        emit HostEarnings.EarningsCredited(host, token, amount, balance + amount);
        earnings.creditEarnings(host, amount, token);
        vm.stopPrank();
    }
}

/// @notice Withdraws again while it is being paid.
contract GreedyHost {
    HostEarnings private immutable _earnings;
    bool public reentered;

    constructor(HostEarnings earnings) {
        _earnings = earnings;
    }

    function withdraw() external {
        _earnings.withdrawAll(address(0));
    }

    receive() external payable {
        reentered = true;
        (bool ok,) = address(_earnings).call(abi.encodeCall(HostEarnings.withdraw, (1, address(0))));
        require(!ok, "paid twice");
    }
}
