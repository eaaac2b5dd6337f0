// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {JobMarketplace} from "./Deployed.sol";

/// @notice A smart account that takes no money until told to.
contract Refusing {
    JobMarketplace internal _market;
    bool private _accepting;

    function connect(JobMarketplace market) external {
        _market = market;
    }

    function accept(bool accepting) external {
        _accepting = accepting;
    }

    function run(bytes calldata data, uint256 value) external payable {
        (bool ok,) = address(_market).call{value: value}(data);
        require(ok, "call failed");
    }

    receive() external payable virtual {
        require(_accepting, "refused");
    }
}

contract GasBurning is Refusing {
    receive() external payable override {
        while (true) {}
    }
}

contract Verbose is Refusing {
    receive() external payable override {
        assembly {
            revert(0, 10000)
        }
    }
}

/// @notice Tries every door of the marketplace whenever it is paid.
contract Reentrant is Refusing {
    uint256 public attempts;
    uint256 public successes;
    uint256 private _jobId;

    constructor(JobMarketplace market) {
        _market = market;
    }

    function attack(uint256 jobId) external {
        _jobId = jobId;
    }

    receive() external payable override {
        attempts += 1;
        _try(abi.encodeCall(_market.withdrawNative, (1)));
        _try(abi.encodeCall(_market.completeSessionJob, (_jobId, "")));
        _try(abi.encodeCall(_market.triggerSessionTimeout, (_jobId)));
    }

    function _try(bytes memory data) private {
        (bool ok,) = address(_market).call(data);
        if (ok) successes += 1;
    }
}
