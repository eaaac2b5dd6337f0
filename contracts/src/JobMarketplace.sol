// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";

import {IHostEarnings} from "./interfaces/IHostEarnings.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {Administration} from "./marketplace/Administration.sol";
import {Deposits} from "./marketplace/Deposits.sol";
import {Proofs} from "./marketplace/Proofs.sol";
import {Sessions} from "./marketplace/Sessions.sol";
import {Settlement} from "./marketplace/Settlement.sol";

/// @title Marketplace of model sessions
/// @notice A depositor escrows money for a host's work; the host claims tokens of work; the session is settled once.
/// @dev Money in = money out + money held. There is no `receive`: what is sent without a purpose is refused.
contract JobMarketplace is Initializable, UUPSUpgradeable, Deposits, Sessions, Proofs, Settlement, Administration {
    /// @dev USDC of Base Sepolia, the first accepted token. Elsewhere call `setUsdcAddress`.
    address private constant BASE_SEPOLIA_USDC = 0x036CbD53842c5426634e7929541eC2318f3dCF7e;

    /// @dev Inference: the documented default is where a new marketplace starts.
    uint256 private constant INITIAL_MIN_TOKENS_FEE = 1000;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @param _feeBasisPoints The treasury's share of proven work, in 1/10000.
    /// @param _disputeWindow Seconds after the last proof during which the host may not complete a session.
    /// @dev The caller becomes owner and treasury.
    function initialize(address _nodeRegistry, address _hostEarnings, uint256 _feeBasisPoints, uint256 _disputeWindow)
        external
        initializer
    {
        require(_nodeRegistry != address(0), "Invalid node registry");
        require(_hostEarnings != address(0), "Invalid host earnings");
        require(_feeBasisPoints <= BASIS_POINTS, "Fee too high");
        require(_disputeWindow >= MIN_DISPUTE_WINDOW && _disputeWindow <= MAX_DISPUTE_WINDOW, "Invalid dispute window");
        __Ownable_init(msg.sender);
        __Pausable_init();

        nodeRegistry = INodeRegistry(_nodeRegistry);
        hostEarnings = IHostEarnings(_hostEarnings);
        feeBasisPoints = _feeBasisPoints;
        disputeWindow = _disputeWindow;
        treasuryAddress = msg.sender;
        minTokensFee = INITIAL_MIN_TOKENS_FEE;
        nextJobId = 1;
        usdcAddress = BASE_SEPOLIA_USDC;
        _acceptToken(BASE_SEPOLIA_USDC, USDC_MIN_DEPOSIT, USDC_MAX_DEPOSIT);
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}
}
