// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {JobMarketplace, ModelRegistry, NodeRegistry} from "./Deployed.sol";
import {World} from "./World.sol";

interface Upgradeable {
    function initialize() external;
    function owner() external view returns (address);
    function proxiableUUID() external view returns (bytes32);
    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable;
    function UPGRADE_INTERFACE_VERSION() external view returns (string memory);
}

contract UpgradesTest is World {
    bytes32 private constant SLOT = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;
    string[5] private _names = ["JobMarketplace", "NodeRegistry", "ModelRegistry", "ProofSystem", "HostEarnings"];

    function test_only_the_owner_upgrades() public {
        for (uint256 i = 0; i < 5; ++i) {
            Upgradeable proxy = Upgradeable(_proxies()[i]);
            address next = _implementation(_names[i]);
            vm.expectRevert(abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", stranger));
            vm.prank(stranger);
            proxy.upgradeToAndCall(next, "");
            proxy.upgradeToAndCall(next, "");
            vm.assertEq(vm.load(address(proxy), SLOT), bytes32(uint256(uint160(next))));
        }
    }

    function test_an_upgrade_keeps_what_was_stored() public {
        uint256 jobId = _open(address(usdc));
        _prove(jobId, 1000);
        vm.prank(depositor);
        market.depositNative{value: 1 ether}();
        for (uint256 i = 0; i < 5; ++i) {
            Upgradeable(_proxies()[i]).upgradeToAndCall(_implementation(_names[i]), "");
        }
        vm.assertEq(_session(jobId).tokensUsed, 1000);
        vm.assertEq(market.userDepositsNative(depositor), 1 ether);
        vm.assertTrue(nodes.isActiveNode(host));
        vm.assertTrue(models.isModelApproved(modelId));
        vm.assertTrue(proofs.verifiedProofs(_session(jobId).lastProofHash));
        _complete(depositor, jobId);
        vm.assertEq(earnings.getBalance(host, address(usdc)), 4500);
    }

    function test_nothing_is_initialised_twice() public {
        for (uint256 i = 0; i < 5; ++i) {
            address[2] memory targets = [_proxies()[i], _implementation(_names[i])];
            for (uint256 j = 0; j < 2; ++j) {
                vm.expectRevert(abi.encodeWithSignature("InvalidInitialization()"));
                _initialize(targets[j], i);
            }
        }
    }

    function test_an_upgrade_goes_to_an_upgradeable_contract() public {
        for (uint256 i = 0; i < 5; ++i) {
            Upgradeable proxy = Upgradeable(_proxies()[i]);
            vm.expectRevert(abi.encodeWithSignature("ERC1967InvalidImplementation(address)", address(fab)));
            proxy.upgradeToAndCall(address(fab), "");
            vm.expectRevert(abi.encodeWithSignature("UUPSUnauthorizedCallContext()"));
            proxy.proxiableUUID();
        }
    }

    function test_an_implementation_is_not_upgraded_itself() public {
        for (uint256 i = 0; i < 5; ++i) {
            Upgradeable implementation = Upgradeable(_implementation(_names[i]));
            vm.assertEq(implementation.owner(), address(0));
            vm.assertEq(implementation.proxiableUUID(), SLOT);
            vm.assertEq(implementation.UPGRADE_INTERFACE_VERSION(), "5.0.0");
            vm.expectRevert(abi.encodeWithSignature("UUPSUnauthorizedCallContext()"));
            implementation.upgradeToAndCall(address(implementation), "");
        }
    }

    function test_registries_refuse_to_start_without_what_they_need() public {
        NodeRegistry freshNodes = NodeRegistry(_emptyProxy("NodeRegistry"));
        _refuses("Invalid token");
        freshNodes.initialize(address(0), address(models));
        _refuses("Invalid model registry");
        freshNodes.initialize(address(fab), address(0));
        ModelRegistry freshModels = ModelRegistry(_emptyProxy("ModelRegistry"));
        _refuses("Invalid token");
        freshModels.initialize(address(0));
    }

    function _proxies() private view returns (address[5] memory) {
        return [address(market), address(nodes), address(models), address(proofs), address(earnings)];
    }

    function _initialize(address target, uint256 kind) private {
        if (kind == 0) JobMarketplace(target).initialize(address(nodes), address(earnings), 1000, 30);
        if (kind == 1) NodeRegistry(target).initialize(address(fab), address(models));
        if (kind == 2) ModelRegistry(target).initialize(address(fab));
        if (kind > 2) Upgradeable(target).initialize();
    }
}
