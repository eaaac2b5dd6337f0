// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {NodeRegistry} from "./Deployed.sol";
import {World} from "./World.sol";

contract NodeRegistryTest is World {
    address private other = makeAddr("other host");
    bytes32 private secondModel;

    function setUp() public override {
        super.setUp();
        models.addTrustedModel("repo", "second.gguf", "sha");
        secondModel = models.getModelId("repo", "second.gguf");
        nodes.initializeSlashing(treasury);
        fab.mint(other, 10_000e18);
        vm.prank(other);
        fab.approve(address(nodes), type(uint256).max);
    }

    function test_the_constants_are_the_documented_ones() public view {
        vm.assertEq(nodes.MIN_STAKE(), 1000e18);
        vm.assertEq(nodes.PRICE_PRECISION(), 1000);
        vm.assertEq(nodes.MIN_PRICE_PER_TOKEN_NATIVE(), 227_273);
        vm.assertEq(nodes.MAX_PRICE_PER_TOKEN_NATIVE(), 22_727_272_727_273_000);
        vm.assertEq(nodes.MIN_PRICE_PER_TOKEN_STABLE(), 1);
        vm.assertEq(nodes.MAX_PRICE_PER_TOKEN_STABLE(), 100_000_000);
        vm.assertEq(nodes.MAX_SLASH_PERCENTAGE(), 50);
        vm.assertEq(nodes.MIN_STAKE_AFTER_SLASH(), 100e18);
        vm.assertEq(nodes.SLASH_COOLDOWN(), 24 hours);
    }

    // Registering

    function test_a_host_registers_with_its_stake() public {
        bytes32[] memory ids = _both();
        vm.expectEmit(address(nodes));
        emit NodeRegistry.NodeRegistered(other, 1000e18, "{}", ids);
        _registerOther(ids);
        vm.assertEq(fab.balanceOf(other), 9000e18);
        vm.assertEq(fab.balanceOf(address(nodes)), 2000e18);
        (
            address operator,
            uint256 stake,
            bool active,
            string memory metadata,
            string memory url,
            bytes32[] memory listed,
            uint256 native,
            uint256 stable
        ) = nodes.getNodeFullInfo(other);
        vm.assertEq(operator, other);
        vm.assertEq(stake, 1000e18);
        vm.assertTrue(active);
        vm.assertEq(metadata, "{}");
        vm.assertEq(url, "http://other.example");
        vm.assertEq(listed, ids);
        vm.assertEq(native, 227_273);
        vm.assertEq(stable, 1);
        vm.assertEq(nodes.getNodeApiUrl(other), url);
        vm.assertEq(nodes.getNodeModels(other), ids);
        vm.assertEq(nodes.getAllActiveNodes()[1], other);
        vm.assertEq(nodes.activeNodesIndex(other), 1);
        vm.assertEq(nodes.getNodesForModel(secondModel), _one(other));
        vm.assertTrue(nodes.nodeSupportsModel(other, secondModel));
        vm.assertFalse(nodes.nodeSupportsModel(host, secondModel));
    }

    function test_an_unknown_host_is_answered_with_nothing() public view {
        (address operator, uint256 stake, bool active,,, bytes32[] memory ids,,) = nodes.getNodeFullInfo(stranger);
        vm.assertEq(operator, address(0));
        vm.assertEq(stake, 0);
        vm.assertFalse(active);
        vm.assertEq(ids.length, 0);
        vm.assertFalse(nodes.isActiveNode(stranger));
    }

    function test_a_registration_needs_everything() public {
        bytes32[] memory ids = _one(modelId);
        vm.startPrank(other);
        _refuses("Empty metadata");
        nodes.registerNode("", "url", ids, 227_273, 1);
        _refuses("Empty API URL");
        nodes.registerNode("{}", "", ids, 227_273, 1);
        _refuses("No models");
        nodes.registerNode("{}", "url", new bytes32[](0), 227_273, 1);
        _refuses("Invalid native price");
        nodes.registerNode("{}", "url", ids, 227_272, 1);
        _refuses("Invalid native price");
        nodes.registerNode("{}", "url", ids, 22_727_272_727_273_001, 1);
        _refuses("Invalid stable price");
        nodes.registerNode("{}", "url", ids, 227_273, 0);
        _refuses("Invalid stable price");
        nodes.registerNode("{}", "url", ids, 227_273, 100_000_001);
        _refuses("Model not approved");
        nodes.registerNode("{}", "url", _one("unknown"), 227_273, 1);
        vm.stopPrank();
        _refuses("Already registered");
        vm.prank(host);
        nodes.registerNode("{}", "url", ids, 227_273, 1);
        vm.expectRevert();
        vm.prank(stranger); // without FAB
        nodes.registerNode("{}", "url", ids, 227_273, 1);
    }

    function test_a_model_named_twice_is_listed_once() public {
        bytes32[] memory ids = new bytes32[](2);
        (ids[0], ids[1]) = (secondModel, secondModel);
        _registerOther(ids);
        vm.assertEq(nodes.getNodeModels(other), _one(secondModel));
        vm.assertEq(nodes.getNodesForModel(secondModel), _one(other));
        vm.prank(other);
        nodes.unregisterNode();
        vm.assertEq(nodes.getNodesForModel(secondModel).length, 0);
    }

    function test_leaving_returns_the_whole_stake_at_once() public {
        _registerOther(_both());
        vm.startPrank(other);
        nodes.stake(5e18);
        vm.expectEmit(address(nodes));
        emit NodeRegistry.NodeUnregistered(other, 1005e18);
        nodes.unregisterNode();
        vm.stopPrank();
        vm.assertEq(fab.balanceOf(other), 10_000e18);
        vm.assertFalse(nodes.isActiveNode(other));
        vm.assertFalse(nodes.nodeSupportsModel(other, secondModel));
        vm.assertEq(nodes.getAllActiveNodes(), _one(host));
        vm.assertEq(nodes.getNodesForModel(modelId), _one(host));
        _registerOther(_both());
    }

    function test_leaving_out_of_order_keeps_the_lists_whole() public {
        _registerOther(_both());
        vm.prank(host);
        nodes.unregisterNode();
        vm.assertEq(nodes.getAllActiveNodes(), _one(other));
        vm.assertEq(nodes.activeNodesIndex(other), 0);
        vm.assertEq(nodes.getNodesForModel(modelId), _one(other));
        vm.prank(other);
        nodes.unregisterNode();
        vm.assertEq(nodes.getAllActiveNodes().length, 0);
    }

    function test_stake_grows() public {
        _registerOther(_both());
        vm.startPrank(other);
        nodes.stake(7);
        (, uint256 stake,,,,,,) = nodes.getNodeFullInfo(other);
        vm.assertEq(stake, 1000e18 + 7);
        _refuses("Zero amount");
        nodes.stake(0);
    }

    function test_a_host_changes_what_it_says_about_itself() public {
        vm.startPrank(host);
        vm.expectEmit(address(nodes));
        emit NodeRegistry.MetadataUpdated(host, "new");
        nodes.updateMetadata("new");
        vm.expectEmit(address(nodes));
        emit NodeRegistry.ApiUrlUpdated(host, "http://new");
        nodes.updateApiUrl("http://new");
        vm.expectEmit(address(nodes));
        emit NodeRegistry.ModelsUpdated(host, _one(secondModel));
        nodes.updateSupportedModels(_one(secondModel));
        _refuses("Empty metadata");
        nodes.updateMetadata("");
        _refuses("Empty API URL");
        nodes.updateApiUrl("");
        _refuses("No models");
        nodes.updateSupportedModels(new bytes32[](0));
        _refuses("Model not approved");
        nodes.updateSupportedModels(_one("unknown"));
        vm.assertFalse(nodes.nodeSupportsModel(host, modelId));
        vm.assertTrue(nodes.nodeSupportsModel(host, secondModel));
        vm.assertEq(nodes.getNodesForModel(modelId).length, 0);
    }

    function test_only_hosts_change_a_host() public {
        vm.startPrank(stranger);
        _refuses("Not registered");
        nodes.updateMetadata("new");
        _refuses("Not registered");
        nodes.updateApiUrl("new");
        _refuses("Not registered");
        nodes.updateSupportedModels(_one(modelId));
        _refuses("Not registered");
        nodes.stake(1);
        _refuses("Not registered");
        nodes.unregisterNode();
        _refuses("Not registered");
        nodes.setModelTokenPricing(modelId, NATIVE, NATIVE_PRICE);
        _refuses("Not registered");
        nodes.clearModelTokenPricing(modelId, NATIVE);
    }

    function test_a_deactivated_model_stays_with_the_hosts_that_name_it() public {
        models.deactivateModel(modelId);
        vm.assertTrue(nodes.nodeSupportsModel(host, modelId));
        vm.prank(other);
        _refuses("Model not approved");
        nodes.registerNode("{}", "url", _one(modelId), 227_273, 1);
    }

    // Prices

    function test_a_price_is_for_one_model_and_one_token() public {
        vm.startPrank(host);
        vm.expectEmit(address(nodes));
        emit NodeRegistry.ModelTokenPricingUpdated(host, modelId, address(fab), 77);
        nodes.setModelTokenPricing(modelId, address(fab), 77);
        vm.assertEq(nodes.getModelPricing(host, modelId, address(fab)), 77);
        vm.assertEq(nodes.getModelPricing(host, modelId, address(usdc)), USDC_PRICE);
        vm.assertEq(nodes.getModelPricing(host, modelId, NATIVE), NATIVE_PRICE);
        vm.assertEq(nodes.modelTokenPricing(host, modelId, address(fab)), 77);
        _refuses("No model pricing");
        nodes.getModelPricing(host, secondModel, address(usdc));
        _refuses("No model pricing");
        nodes.getModelPricing(other, modelId, address(usdc));
    }

    function test_a_cleared_price_is_none() public {
        vm.startPrank(host);
        vm.expectEmit(address(nodes));
        emit NodeRegistry.ModelTokenPricingUpdated(host, modelId, NATIVE, 0);
        nodes.clearModelTokenPricing(modelId, NATIVE);
        _refuses("No model pricing");
        nodes.getModelPricing(host, modelId, NATIVE);
    }

    function test_prices_have_bounds() public {
        vm.startPrank(host);
        _refuses("Invalid native price");
        nodes.setModelTokenPricing(modelId, NATIVE, 227_272);
        _refuses("Invalid native price");
        nodes.setModelTokenPricing(modelId, NATIVE, 22_727_272_727_273_001);
        _refuses("Invalid stable price");
        nodes.setModelTokenPricing(modelId, address(usdc), 0);
        _refuses("Invalid stable price");
        nodes.setModelTokenPricing(modelId, address(usdc), 100_000_001);
        _refuses("Model not supported");
        nodes.setModelTokenPricing(secondModel, address(usdc), 1);
        nodes.setModelTokenPricing(modelId, NATIVE, 22_727_272_727_273_000);
        nodes.setModelTokenPricing(modelId, address(usdc), 100_000_000);
    }

    function test_all_prices_of_a_host_are_listed() public {
        _registerOther(_both());
        vm.prank(other);
        nodes.setModelTokenPricing(secondModel, address(usdc), 9);
        (bytes32[] memory ids, uint256[] memory prices) = nodes.getHostModelPrices(other, address(usdc));
        vm.assertEq(ids, _both());
        vm.assertEq(prices[0], 0);
        vm.assertEq(prices[1], 9);
    }

    function test_the_older_price_readers_are_empty() public view {
        vm.assertEq(nodes.modelPricingNative(host, modelId), 0);
        vm.assertEq(nodes.modelPricingStable(host, modelId), 0);
        vm.assertEq(nodes.customTokenPricing(host, address(usdc)), 0);
    }

    // Slashing

    function test_a_slash_goes_to_the_treasury() public {
        vm.expectEmit(address(nodes));
        emit NodeRegistry.SlashExecuted(
            host, 500e18, 500e18, "evidence", "reason", address(this), vm.getBlockTimestamp()
        );
        nodes.slashStake(host, 500e18, "evidence", "reason");
        vm.assertEq(fab.balanceOf(treasury), 500e18);
        vm.assertTrue(nodes.isActiveNode(host));
        vm.assertEq(nodes.lastSlashTime(host), vm.getBlockTimestamp());
    }

    function test_a_slash_has_limits() public {
        _refuses("Slash too large");
        nodes.slashStake(host, 500e18 + 1, "evidence", "reason");
        _refuses("Zero amount");
        nodes.slashStake(host, 0, "evidence", "reason");
        _refuses("Empty evidence");
        nodes.slashStake(host, 1, "", "reason");
        _refuses("Empty reason");
        nodes.slashStake(host, 1, "evidence", "");
        _refuses("Node not active");
        nodes.slashStake(stranger, 1, "evidence", "reason");
        vm.prank(stranger);
        _refuses("Not slashing authority");
        nodes.slashStake(host, 1, "evidence", "reason");
    }

    function test_a_host_is_slashed_at_most_once_a_day() public {
        nodes.slashStake(host, 1, "evidence", "reason");
        skip(24 hours - 1);
        _refuses("Slash cooldown");
        nodes.slashStake(host, 1, "evidence", "reason");
        skip(1);
        nodes.slashStake(host, 1, "evidence", "reason");
    }

    function test_leaving_and_returning_does_not_lift_the_cooldown() public {
        _registerOther(_both());
        nodes.slashStake(other, 1e18, "evidence", "reason");
        vm.prank(other);
        nodes.unregisterNode();
        _registerOther(_both());
        _refuses("Slash cooldown");
        nodes.slashStake(other, 1e18, "evidence", "reason");
    }

    function test_a_host_with_too_little_left_is_unregistered_and_paid_the_rest() public {
        uint256 stake = 1000e18;
        while (stake / 2 >= 100e18) {
            nodes.slashStake(host, stake / 2, "evidence", "reason");
            stake -= stake / 2;
            skip(24 hours);
        }
        vm.assertEq(stake, 125e18);
        vm.expectEmit(address(nodes));
        emit NodeRegistry.HostAutoUnregistered(host, 62.5e18, 62.5e18, "reason");
        nodes.slashStake(host, 62.5e18, "evidence", "reason");
        vm.assertFalse(nodes.isActiveNode(host));
        vm.assertEq(fab.balanceOf(host), 62.5e18);
        vm.assertEq(fab.balanceOf(treasury), 937.5e18);
        vm.assertEq(fab.balanceOf(address(nodes)), 0);
        vm.assertEq(nodes.getAllActiveNodes().length, 0);
    }

    function test_slashing_is_turned_on_once() public {
        _refuses("Already initialized");
        nodes.initializeSlashing(treasury);
        vm.assertEq(nodes.slashingAuthority(), address(this));
        vm.assertEq(nodes.treasury(), treasury);
        NodeRegistry fresh =
            NodeRegistry(_proxy("NodeRegistry", abi.encodeCall(nodes.initialize, (address(fab), address(models)))));
        _refuses("Not initialized");
        fresh.setSlashingAuthority(stranger);
        _refuses("Invalid treasury");
        fresh.initializeSlashing(address(0));
        _refuses("Not slashing authority");
        fresh.slashStake(host, 1, "evidence", "reason");
        _refusesStranger(stranger);
        fresh.initializeSlashing(treasury);
    }

    // The owner's part

    function test_the_owner_moves_the_authorities() public {
        vm.expectEmit(address(nodes));
        emit NodeRegistry.SlashingAuthorityUpdated(address(this), stranger);
        nodes.setSlashingAuthority(stranger);
        vm.expectEmit(address(nodes));
        emit NodeRegistry.TreasuryUpdated(stranger);
        nodes.setTreasury(stranger);
        vm.expectEmit(address(nodes));
        emit NodeRegistry.ModelRegistryUpdated(stranger);
        nodes.updateModelRegistry(stranger);
        vm.assertEq(nodes.modelRegistry(), stranger);
        _refuses("Invalid authority");
        nodes.setSlashingAuthority(address(0));
        _refuses("Invalid treasury");
        nodes.setTreasury(address(0));
        _refuses("Invalid model registry");
        nodes.updateModelRegistry(address(0));
        _refusesStranger(stranger);
        nodes.setSlashingAuthority(stranger);
        _refusesStranger(stranger);
        nodes.setTreasury(stranger);
        _refusesStranger(stranger);
        nodes.updateModelRegistry(stranger);
        _refusesStranger(stranger);
        nodes.repairCorruptNode(host);
    }

    function test_a_node_that_contradicts_itself_is_repaired() public {
        _refuses("Node not corrupt");
        nodes.repairCorruptNode(host);
        _refuses("Not registered");
        nodes.repairCorruptNode(stranger);
        _makeInactive(host);
        vm.expectEmit(address(nodes));
        emit NodeRegistry.CorruptNodeRepaired(host, 1000e18);
        nodes.repairCorruptNode(host);
        vm.assertEq(fab.balanceOf(host), 1000e18);
        vm.assertEq(nodes.getAllActiveNodes().length, 0);
        vm.assertEq(nodes.getNodesForModel(modelId).length, 0);
    }

    function test_a_node_missing_from_the_list_is_repaired() public {
        _registerOther(_both());
        vm.store(address(nodes), bytes32(ACTIVE_NODES_SLOT), bytes32(uint256(1))); // forgets the second
        nodes.repairCorruptNode(other);
        vm.assertEq(fab.balanceOf(other), 10_000e18);
        vm.assertEq(nodes.getAllActiveNodes(), _one(host));
        _registerOther(_both());
    }

    function _registerOther(bytes32[] memory ids) private {
        vm.prank(other);
        nodes.registerNode("{}", "http://other.example", ids, 227_273, 1);
    }

    function _both() private view returns (bytes32[] memory ids) {
        ids = new bytes32[](2);
        (ids[0], ids[1]) = (modelId, secondModel);
    }
}
