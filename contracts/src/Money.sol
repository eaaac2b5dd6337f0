// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Moving money
/// @notice One way to hold, take and pay the native currency (token zero) and ERC-20 tokens.
library Money {
    using SafeERC20 for IERC20;

    address internal constant NATIVE = address(0);

    /// @dev Gas a refund may use. Enough for a smart account or a proxied token, too little to be worth burning.
    uint256 internal constant PUSH_GAS = 100_000;

    /// @dev Gas that must be left before a push, so that no caller (nor a wallet's gas estimate) can make it fail by
    /// giving too little: 1/64 stays behind in a call, and the rest pays for the credit that follows a failure.
    uint256 internal constant PUSH_GAS_NEEDED = PUSH_GAS + PUSH_GAS / 63 + 50_000;

    function held(address token) internal view returns (uint256) {
        return token == NATIVE ? address(this).balance : IERC20(token).balanceOf(address(this));
    }

    /// @dev Inference: a token that takes a fee on transfer is refused: the books would promise more than is held.
    function take(address token, address from, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(from, address(this), amount);
        require(IERC20(token).balanceOf(address(this)) - before == amount, "Short transfer");
    }

    /// @dev Reverts when the payment fails.
    function send(address token, address to, uint256 amount) internal {
        if (token == NATIVE) {
            require(_call(to, amount, gasleft(), ""), "Transfer failed");
        } else {
            IERC20(token).safeTransfer(to, amount);
        }
    }

    /// @dev Pays with bounded gas and without reading what the recipient returns beyond one word.
    /// @return False when the payment failed; nothing was paid then.
    function push(address token, address to, uint256 amount) internal returns (bool) {
        require(gasleft() >= PUSH_GAS_NEEDED, "Low gas");
        if (token == NATIVE) return _call(to, amount, PUSH_GAS, "");
        if (token.code.length == 0) return false;
        return _call(token, 0, PUSH_GAS, abi.encodeCall(IERC20.transfer, (to, amount)));
    }

    /// @dev True when the call succeeded and, where it carried data, returned nothing or true.
    function _call(address to, uint256 value, uint256 gasLimit, bytes memory data) private returns (bool ok) {
        assembly ("memory-safe") {
            mstore(0, 0)
            ok := call(gasLimit, to, value, add(data, 32), mload(data), 0, 32)
            if and(ok, gt(mload(data), 0)) {
                ok := or(iszero(returndatasize()), and(gt(returndatasize(), 31), eq(mload(0), 1)))
            }
        }
    }
}
