// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";

import {IProofSystem} from "./interfaces/IProofSystem.sol";

/// @title Spent proof hashes
/// @notice Remembers which proof hashes were paid for. It verifies no proof: a "verified" hash is a fresh hash.
/// @dev Invariant: a hash turns true once, for one caller, and never turns back. The table is global: a hash spent in
/// one session is spent in all, so what is hashed must name its session and its place in it.
contract ProofSystem is Initializable, OwnableUpgradeable, UUPSUpgradeable, IProofSystem {
    mapping(bytes32 => bool) public verifiedProofs;
    mapping(address => bool) public authorizedCallers;

    event ProofVerified(bytes32 indexed proofHash, address indexed prover, uint256 tokens);
    event AuthorizedCallerUpdated(address indexed caller, bool authorized);

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    function initialize() external initializer {
        __Ownable_init(msg.sender);
    }

    function setAuthorizedCaller(address caller, bool authorized) external onlyOwner {
        require(caller != address(0), "Invalid caller");
        authorizedCallers[caller] = authorized;
        emit AuthorizedCallerUpdated(caller, authorized);
    }

    /// @inheritdoc IProofSystem
    /// @dev Only authorised callers: else an observer of a pending proof could burn its hash.
    /// Inference: a spent hash is answered with false, it does not revert.
    function markProofUsed(bytes32 proofHash, address prover, uint256 claimedTokens, bytes32 modelId)
        external
        returns (bool)
    {
        require(authorizedCallers[msg.sender], "Unauthorized");
        modelId; // kept for the interface: a hash is spent for every model at once
        if (verifiedProofs[proofHash]) return false;
        verifiedProofs[proofHash] = true;
        emit ProofVerified(proofHash, prover, claimedTokens);
        return true;
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}
}
