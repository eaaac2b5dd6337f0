// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {NodeState} from "./NodeState.sol";

/// @title Prices of hosts
/// @notice One price for each model and token, in the token's smallest unit for 1000 tokens of work; token zero is the
/// native currency. A pair without a price cannot be bought: nothing falls back to another price.
abstract contract Pricing is NodeState {
    event ModelTokenPricingUpdated(
        address indexed operator, bytes32 indexed modelId, address indexed token, uint256 price
    );

    function setModelTokenPricing(bytes32 modelId, address token, uint256 price) external onlyRegistered {
        require(nodes[msg.sender].active, "Not active");
        require(_modelPlace[modelId][msg.sender] != 0, "Model not supported");
        if (token == address(0)) {
            require(price >= MIN_PRICE_PER_TOKEN_NATIVE && price <= MAX_PRICE_PER_TOKEN_NATIVE, "Invalid native price");
        } else {
            require(price >= MIN_PRICE_PER_TOKEN_STABLE && price <= MAX_PRICE_PER_TOKEN_STABLE, "Invalid stable price");
        }
        modelTokenPricing[msg.sender][modelId][token] = price;
        emit ModelTokenPricingUpdated(msg.sender, modelId, token, price);
    }

    /// @dev Inference: works for any pair, also of a model no longer served, and reports a price of zero.
    function clearModelTokenPricing(bytes32 modelId, address token) external onlyRegistered {
        delete modelTokenPricing[msg.sender][modelId][token];
        emit ModelTokenPricingUpdated(msg.sender, modelId, token, 0);
    }

    /// @dev Reverts when no price is set.
    function getModelPricing(address operator, bytes32 modelId, address token) external view returns (uint256) {
        uint256 price = modelTokenPricing[operator][modelId][token];
        require(price > 0, "No model pricing");
        return price;
    }

    /// @return modelIds The models of the host.
    /// @return prices Their prices in `token`; zero where none is set.
    function getHostModelPrices(address operator, address token)
        external
        view
        returns (bytes32[] memory modelIds, uint256[] memory prices)
    {
        modelIds = nodes[operator].supportedModels;
        prices = new uint256[](modelIds.length);
        for (uint256 i = 0; i < modelIds.length; ++i) {
            prices[i] = modelTokenPricing[operator][modelIds[i]][token];
        }
    }
}
