// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {HostEarnings, JobMarketplace, ModelRegistry, NodeRegistry, ProofSystem} from "./Deployed.sol";
import {TestToken} from "../src/tokens/TestToken.sol";
import {Test} from "./Foundry.sol";

/// @notice All contracts deployed and wired, one model, one host with prices, one depositor with money.
/// @dev Contracts come from their artifacts, so that no test carries another's code. The test contract is the owner.
abstract contract World is Test {
    address internal constant NATIVE = address(0);
    address internal constant BASE_SEPOLIA_USDC = 0x036CbD53842c5426634e7929541eC2318f3dCF7e;

    uint8 internal constant ACTIVE = 0;
    uint8 internal constant COMPLETED = 1;
    uint8 internal constant TIMED_OUT = 2;

    /// @dev Where the registry of hosts keeps its nodes and the list of active ones.
    uint256 internal constant NODES_SLOT = 4;
    uint256 internal constant ACTIVE_NODES_SLOT = 5;

    uint256 internal constant FEE_BASIS_POINTS = 1000;
    uint256 internal constant DISPUTE_WINDOW = 30;
    uint256 internal constant NATIVE_PRICE = 3_000_000_000;
    uint256 internal constant USDC_PRICE = 5000;
    uint256 internal constant RATE = 2000;

    TestToken internal fab;
    TestToken internal usdc;
    ModelRegistry internal models;
    ProofSystem internal proofs;
    HostEarnings internal earnings;
    NodeRegistry internal nodes;
    JobMarketplace internal market;

    address internal treasury = makeAddr("treasury");
    address internal host = makeAddr("host");
    address internal depositor = makeAddr("depositor");
    address internal stranger = makeAddr("stranger");
    bytes32 internal modelId;

    /// @dev What a session is asked for, in the order of no function.
    struct Ask {
        address host;
        bytes32 modelId;
        address token;
        uint256 deposit;
        uint256 price;
        uint256 maxDuration;
        uint256 interval;
        uint256 timeout;
    }

    /// @dev The static part of a session, and the texts.
    struct Session {
        uint256 id;
        address depositor;
        address host;
        address token;
        uint256 deposit;
        uint256 price;
        uint256 tokensUsed;
        uint256 maxDuration;
        uint256 startTime;
        uint256 lastProofTime;
        uint256 interval;
        uint256 timeout;
        uint8 status;
        uint256 withdrawnByHost;
        uint256 refundedToUser;
        string conversationCID;
        bytes32 lastProofHash;
        string lastProofCID;
    }

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        fab = _token("Fabstir (test)", "FAB", 18);
        usdc = _token("USD Coin (test)", "USDC", 6);
        models = ModelRegistry(_proxy("ModelRegistry", abi.encodeCall(ModelRegistry.initialize, (address(fab)))));
        proofs = ProofSystem(_proxy("ProofSystem", abi.encodeCall(ProofSystem.initialize, ())));
        earnings = HostEarnings(payable(_proxy("HostEarnings", abi.encodeCall(HostEarnings.initialize, ()))));
        nodes = NodeRegistry(
            _proxy("NodeRegistry", abi.encodeCall(NodeRegistry.initialize, (address(fab), address(models))))
        );
        market = _market(FEE_BASIS_POINTS);
        earnings.setAuthorizedCaller(address(market), true);
        proofs.setAuthorizedCaller(address(market), true);

        models.addTrustedModel("CohereForAI/TinyVicuna-1B-32k-GGUF", "tiny-vicuna-1b.q4_k_m.gguf", keccak256("file"));
        modelId = models.getAllModels()[0];
        _register(host);
        _fund(depositor);
    }

    function _market(uint256 feeBasisPoints) internal returns (JobMarketplace created) {
        created = JobMarketplace(
            _proxy(
                "JobMarketplace",
                abi.encodeCall(
                    JobMarketplace.initialize, (address(nodes), address(earnings), feeBasisPoints, DISPUTE_WINDOW)
                )
            )
        );
        created.setProofSystem(address(proofs));
        created.setUsdcAddress(address(usdc));
        created.setTreasury(treasury);
    }

    function _token(string memory name, string memory symbol, uint8 decimals) internal returns (TestToken) {
        return TestToken(vm.deployCode("TestToken.sol:TestToken", abi.encode(name, symbol, decimals)));
    }

    function _implementation(string memory name) internal returns (address) {
        return vm.deployCode(string.concat(name, ".sol:", name));
    }

    function _proxy(string memory name, bytes memory data) internal returns (address) {
        return vm.deployCode("ERC1967Proxy.sol:ERC1967Proxy", abi.encode(_implementation(name), data));
    }

    /// @dev A proxy whose first call changed nothing, so that it can still be initialised.
    function _emptyProxy(string memory name) internal returns (address) {
        return _proxy(name, abi.encodeWithSignature("UPGRADE_INTERFACE_VERSION()"));
    }

    function _register(address account) internal {
        fab.mint(account, nodes.MIN_STAKE());
        bytes32[] memory ids = _one(modelId);
        vm.startPrank(account);
        fab.approve(address(nodes), type(uint256).max);
        nodes.registerNode("{}", "http://host.example", ids, 227_273, 1);
        nodes.setModelTokenPricing(modelId, NATIVE, NATIVE_PRICE);
        nodes.setModelTokenPricing(modelId, address(usdc), USDC_PRICE);
        vm.stopPrank();
    }

    function _fund(address account) internal {
        vm.deal(account, 10_000 ether);
        usdc.mint(account, 10_000_000e6);
        vm.prank(account);
        usdc.approve(address(market), type(uint256).max);
    }

    function _ask(address token) internal view returns (Ask memory) {
        return Ask({
            host: host,
            modelId: modelId,
            token: token,
            deposit: token == NATIVE ? 0.01 ether : 10e6,
            price: token == NATIVE ? NATIVE_PRICE : USDC_PRICE,
            maxDuration: 1 days,
            interval: 100,
            timeout: 300
        });
    }

    /// @dev Pays directly, in the token asked for.
    function _open(Ask memory ask) internal returns (uint256 jobId) {
        vm.prank(depositor);
        if (ask.token == NATIVE) {
            return market.createSessionJobForModel{value: ask.deposit}(
                ask.host, ask.modelId, ask.price, ask.maxDuration, ask.interval, ask.timeout
            );
        }
        return market.createSessionJobForModelWithToken(
            ask.host, ask.modelId, ask.token, ask.deposit, ask.price, ask.maxDuration, ask.interval, ask.timeout
        );
    }

    function _open(address token) internal returns (uint256) {
        return _open(_ask(token));
    }

    function _openFromDeposit(Ask memory ask) internal returns (uint256) {
        vm.prank(depositor);
        return market.createSessionFromDepositForModel(
            ask.modelId, ask.host, ask.token, ask.deposit, ask.price, ask.maxDuration, ask.interval, ask.timeout
        );
    }

    function _openAsDelegate(address delegate, Ask memory ask) internal returns (uint256) {
        vm.prank(delegate);
        return market.createSessionForModelAsDelegate(
            depositor,
            ask.modelId,
            ask.host,
            ask.token,
            ask.deposit,
            ask.price,
            ask.maxDuration,
            ask.interval,
            ask.timeout
        );
    }

    /// @dev Waits until the rate limit allows the claim.
    function _prove(uint256 jobId, uint256 tokens) internal {
        skip((tokens + RATE - 1) / RATE);
        _claim(jobId, tokens, keccak256(abi.encode(jobId, vm.getBlockTimestamp(), tokens)));
    }

    function _claim(uint256 jobId, uint256 tokens, bytes32 hash) internal {
        vm.prank(host);
        market.submitProofOfWork(jobId, tokens, hash, "proof", "delta");
    }

    function _complete(address by, uint256 jobId) internal {
        vm.prank(by);
        market.completeSessionJob(jobId, "conversation");
    }

    function _balance(address token, address account) internal view returns (uint256) {
        return token == NATIVE ? account.balance : TestToken(token).balanceOf(account);
    }

    function _treasuryFees(address token) internal view returns (uint256) {
        return token == NATIVE ? market.accumulatedTreasuryNative() : market.accumulatedTreasuryTokens(token);
    }

    function _session(uint256 jobId) internal view returns (Session memory) {
        (bool ok, bytes memory data) = address(market).staticcall(abi.encodeCall(market.sessionJobs, (jobId)));
        require(ok, "sessionJobs failed");
        // A struct with texts is encoded behind one offset word, the values of a getter are not.
        return abi.decode(bytes.concat(bytes32(uint256(32)), data), (Session));
    }

    /// @dev No function of the registry leads here: `active` is the third word of the node.
    function _makeInactive(address operator) internal {
        bytes32 node = keccak256(abi.encode(operator, NODES_SLOT));
        vm.store(address(nodes), bytes32(uint256(node) + 2), 0);
        vm.assertFalse(nodes.isActiveNode(operator));
    }

    function _one(bytes32 value) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = value;
    }

    function _one(address value) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = value;
    }

    /// @dev Fuzzed numbers are often round: choices made from them by remainder are not even, from this they are.
    function _mix(uint256 seed) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed)));
    }

    function _refuses(string memory text) internal {
        vm.expectRevert(bytes(text));
    }

    function _refusesStranger(address account) internal {
        vm.expectRevert(abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", account));
        vm.prank(account);
    }
}
