// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ProofSystem} from "./Deployed.sol";
import {World} from "./World.sol";

contract ProofSystemTest is World {
    function setUp() public override {
        super.setUp();
        proofs.setAuthorizedCaller(address(this), true);
    }

    function test_a_hash_is_spent_once() public {
        vm.assertFalse(proofs.verifiedProofs("hash"));
        vm.expectEmit(address(proofs));
        emit ProofSystem.ProofVerified("hash", host, 100);
        vm.assertTrue(proofs.markProofUsed("hash", host, 100, modelId));
        vm.assertTrue(proofs.verifiedProofs("hash"));
        vm.assertFalse(proofs.markProofUsed("hash", host, 100, modelId));
    }

    function testFuzz_a_spent_hash_is_spent_for_everyone(
        bytes32 hash,
        address prover,
        uint256 tokens,
        bytes32 model,
        address other
    ) public {
        vm.assertTrue(proofs.markProofUsed(hash, prover, tokens, model));
        vm.assertFalse(proofs.markProofUsed(hash, other, tokens ^ 1, ~model));
        vm.assertTrue(proofs.verifiedProofs(hash));
    }

    function test_only_authorised_callers_spend_hashes() public {
        _refuses("Unauthorized");
        vm.prank(stranger);
        proofs.markProofUsed("hash", host, 100, modelId);
        vm.assertFalse(proofs.verifiedProofs("hash"));
    }

    function test_the_owner_authorises_callers() public {
        vm.expectEmit(address(proofs));
        emit ProofSystem.AuthorizedCallerUpdated(stranger, true);
        proofs.setAuthorizedCaller(stranger, true);
        vm.assertTrue(proofs.authorizedCallers(stranger));
        _refuses("Invalid caller");
        proofs.setAuthorizedCaller(address(0), true);
        _refusesStranger(host);
        proofs.setAuthorizedCaller(host, true);
    }
}
