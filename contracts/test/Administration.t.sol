// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {JobMarketplace} from "./Deployed.sol";
import {World} from "./World.sol";

contract AdministrationTest is World {
    function test_a_new_marketplace_has_the_documented_settings() public {
        market = JobMarketplace(_proxy("JobMarketplace", _initialization(address(nodes), address(earnings), 1000, 30)));
        vm.assertEq(market.owner(), address(this));
        vm.assertEq(market.treasuryAddress(), address(this));
        vm.assertEq(market.nextJobId(), 1);
        vm.assertEq(market.feeBasisPoints(), 1000);
        vm.assertEq(market.disputeWindow(), 30);
        vm.assertEq(market.minTokensFee(), 1000);
        vm.assertEq(market.usdcAddress(), BASE_SEPOLIA_USDC);
        vm.assertTrue(market.acceptedTokens(BASE_SEPOLIA_USDC));
        vm.assertEq(market.tokenMinDeposits(BASE_SEPOLIA_USDC), 500_000);
        vm.assertEq(market.tokenMaxDeposits(BASE_SEPOLIA_USDC), 1_000_000e6);
        vm.assertEq(address(market.nodeRegistry()), address(nodes));
        vm.assertEq(address(market.hostEarnings()), address(earnings));
        vm.assertEq(address(market.proofSystem()), address(0));
        vm.assertFalse(market.paused());
    }

    function test_the_constants_are_the_documented_ones() public view {
        vm.assertEq(market.PRICE_PRECISION(), 1000);
        vm.assertEq(market.MIN_DEPOSIT(), 1e14);
        vm.assertEq(market.USDC_MIN_DEPOSIT(), 500_000);
        vm.assertEq(market.USDC_MAX_DEPOSIT(), 1e12);
        vm.assertEq(market.MIN_PROVEN_TOKENS(), 100);
        vm.assertEq(market.MIN_PROOF_TIMEOUT(), 60);
        vm.assertEq(market.DEFAULT_PROOF_TIMEOUT(), 300);
        vm.assertEq(market.MAX_PROOF_TIMEOUT(), 3600);
    }

    function test_a_marketplace_refuses_settings_out_of_range() public {
        _refusesSettings(address(0), address(earnings), 1000, 30, "Invalid node registry");
        _refusesSettings(address(nodes), address(0), 1000, 30, "Invalid host earnings");
        _refusesSettings(address(nodes), address(earnings), 10_001, 30, "Fee too high");
        _refusesSettings(address(nodes), address(earnings), 1000, 0, "Invalid dispute window");
        _refusesSettings(address(nodes), address(earnings), 1000, 7 days + 1, "Invalid dispute window");
        _proxy("JobMarketplace", _initialization(address(nodes), address(earnings), 10_000, 7 days));
        _proxy("JobMarketplace", _initialization(address(nodes), address(earnings), 0, 1));
    }

    function test_treasury_and_owner_pause() public {
        vm.expectEmit(address(market));
        emit JobMarketplace.ContractPaused(address(this));
        market.pause();
        vm.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
        market.pause();
        vm.expectEmit(address(market));
        emit JobMarketplace.ContractUnpaused(treasury);
        vm.prank(treasury);
        market.unpause();
        vm.expectRevert(abi.encodeWithSignature("ExpectedPause()"));
        market.unpause();
        _onlyTreasuryOrOwner(abi.encodeCall(market.pause, ()));
        _onlyTreasuryOrOwner(abi.encodeCall(market.unpause, ()));
    }

    function test_the_proof_system_can_be_replaced() public {
        market.setProofSystem(address(1));
        vm.assertEq(address(market.proofSystem()), address(1));
        _refuses("Invalid proof system");
        market.setProofSystem(address(0));
        _onlyTreasuryOrOwner(abi.encodeCall(market.setProofSystem, (address(1))));
    }

    function test_the_chain_is_described_once() public {
        JobMarketplace.ChainConfig memory config =
            JobMarketplace.ChainConfig(address(1), address(usdc), 0.0001 ether, "ETH");
        _onlyTreasuryOrOwner(abi.encodeCall(market.initializeChainConfig, (config)));
        config.nativeTokenSymbol = "";
        _refuses("Empty symbol");
        market.initializeChainConfig(config);
        config.nativeTokenSymbol = "ETH";
        market.initializeChainConfig(config);
        (address wrapper, address stablecoin, uint256 minimum, string memory symbol) = market.chainConfig();
        vm.assertEq(wrapper, address(1));
        vm.assertEq(stablecoin, address(usdc));
        vm.assertEq(minimum, 0.0001 ether);
        vm.assertEq(symbol, "ETH");
        _refuses("Already configured");
        market.initializeChainConfig(config);
    }

    function test_tokens_are_accepted_with_limits() public {
        _onlyTreasuryOrOwner(abi.encodeCall(market.addAcceptedToken, (address(fab), 1, 2)));
        _refuses("Invalid token");
        market.addAcceptedToken(address(0), 1, 2);
        _refuses("Invalid minimum");
        market.addAcceptedToken(address(fab), 0, 2);
        _refuses("Invalid maximum");
        market.addAcceptedToken(address(fab), 3, 2);
        _refuses("Invalid maximum");
        market.addAcceptedToken(address(fab), 3, uint256(type(uint128).max) + 1);
        vm.expectEmit(address(market));
        emit JobMarketplace.TokenAccepted(address(fab), 1, 2);
        market.addAcceptedToken(address(fab), 1, 2);
        _refuses("Token already accepted");
        market.addAcceptedToken(address(fab), 1, 2);
    }

    function test_limits_of_a_token_can_be_moved() public {
        vm.expectEmit(address(market));
        emit JobMarketplace.TokenMinDepositUpdated(address(usdc), 500_000, 7);
        market.updateTokenMinDeposit(address(usdc), 7);
        vm.expectEmit(address(market));
        emit JobMarketplace.TokenMaxDepositUpdated(address(usdc), 1_000_000e6, 8);
        market.updateTokenMaxDeposit(address(usdc), 8);
        _refuses("Invalid minimum");
        market.updateTokenMinDeposit(address(usdc), 0);
        _refuses("Invalid minimum");
        market.updateTokenMinDeposit(address(usdc), 9);
        _refuses("Invalid maximum");
        market.updateTokenMaxDeposit(address(usdc), 6);
        _refuses("Token not accepted");
        market.updateTokenMinDeposit(address(fab), 7);
        _refuses("Token not accepted");
        market.updateTokenMaxDeposit(address(fab), 7);
        _onlyTreasuryOrOwner(abi.encodeCall(market.updateTokenMinDeposit, (address(usdc), 1)));
        _onlyTreasuryOrOwner(abi.encodeCall(market.updateTokenMaxDeposit, (address(usdc), 1)));
    }

    function test_another_usdc_takes_the_place_of_the_old_one() public {
        vm.assertFalse(market.acceptedTokens(BASE_SEPOLIA_USDC));
        market.setUsdcAddress(address(fab));
        vm.assertEq(market.usdcAddress(), address(fab));
        vm.assertFalse(market.acceptedTokens(address(usdc)));
        vm.assertEq(market.tokenMinDeposits(address(usdc)), 0);
        vm.assertTrue(market.acceptedTokens(address(fab)));
        vm.assertEq(market.tokenMinDeposits(address(fab)), 500_000);
        market.setUsdcAddress(address(fab));
        vm.assertTrue(market.acceptedTokens(address(fab)));
        _refuses("Invalid token");
        market.setUsdcAddress(address(0));
        _refusesStranger(stranger);
        market.setUsdcAddress(address(usdc));
    }

    function test_the_owner_moves_the_treasury() public {
        market.setTreasury(stranger);
        vm.assertEq(market.treasuryAddress(), stranger);
        _refuses("Invalid treasury");
        market.setTreasury(address(0));
        _refusesStranger(treasury);
        market.setTreasury(treasury);
    }

    function test_the_owner_sets_the_cancel_fee() public {
        market.setMinTokensFee(5);
        vm.assertEq(market.minTokensFee(), 5);
        _refusesStranger(treasury);
        market.setMinTokensFee(6);
    }

    function test_the_treasury_withdraws_its_fees_and_no_more() public {
        _earn();
        vm.startPrank(treasury);
        vm.expectEmit(address(market));
        emit JobMarketplace.TreasuryWithdrawal(NATIVE, 300_000_000);
        market.withdrawTreasuryNative();
        vm.expectEmit(address(market));
        emit JobMarketplace.TreasuryWithdrawal(address(usdc), 500);
        market.withdrawTreasuryTokens(address(usdc));
        vm.assertEq(treasury.balance, 300_000_000);
        vm.assertEq(usdc.balanceOf(treasury), 500);
        _refuses("No fees");
        market.withdrawTreasuryNative();
        _refuses("No fees");
        market.withdrawTreasuryTokens(address(usdc));
        _refuses("ERC20 only");
        market.withdrawTreasuryTokens(NATIVE);
    }

    function test_the_treasury_withdraws_everything_at_once() public {
        _earn();
        address[] memory tokens = new address[](4);
        (tokens[0], tokens[1], tokens[2], tokens[3]) = (address(usdc), address(fab), NATIVE, address(usdc));
        vm.startPrank(treasury);
        market.withdrawAllTreasuryFees(tokens);
        market.withdrawAllTreasuryFees(tokens);
        vm.assertEq(treasury.balance, 300_000_000);
        vm.assertEq(usdc.balanceOf(treasury), 500);
        vm.assertEq(market.accumulatedTreasuryNative(), 0);
        vm.assertEq(market.accumulatedTreasuryTokens(address(usdc)), 0);
    }

    function test_nobody_else_withdraws_fees() public {
        _earn();
        _refuses("Only treasury"); // not even the owner
        market.withdrawTreasuryNative();
        _refuses("Only treasury");
        market.withdrawTreasuryTokens(address(usdc));
        _refuses("Only treasury");
        market.withdrawAllTreasuryFees(new address[](0));
    }

    function test_the_owner_hands_over() public {
        market.transferOwnership(stranger);
        vm.assertEq(market.owner(), stranger);
        _refusesStranger(address(this));
        market.setMinTokensFee(1);
        vm.prank(stranger);
        market.renounceOwnership();
        vm.assertEq(market.owner(), address(0));
    }

    function _earn() private {
        uint256 first = _open(NATIVE);
        uint256 second = _open(address(usdc));
        _prove(first, 1000);
        _prove(second, 1000);
        _open(NATIVE);
        _complete(depositor, first);
        _complete(depositor, second);
    }

    function _onlyTreasuryOrOwner(bytes memory data) private {
        vm.prank(stranger);
        (bool ok, bytes memory answer) = address(market).call(data);
        vm.assertFalse(ok);
        vm.assertEq(keccak256(answer), keccak256(abi.encodeWithSignature("Error(string)", "Only treasury or owner")));
    }

    function _initialization(address registry, address ledger, uint256 fee, uint256 window)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeCall(JobMarketplace.initialize, (registry, ledger, fee, window));
    }

    function _refusesSettings(address registry, address ledger, uint256 fee, uint256 window, string memory text)
        private
    {
        JobMarketplace fresh = JobMarketplace(_emptyProxy("JobMarketplace"));
        _refuses(text);
        fresh.initialize(registry, ledger, fee, window);
    }
}
