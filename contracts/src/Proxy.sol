// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

// Compiled here so that its artifact lies with the others: every contract is deployed behind one.
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
