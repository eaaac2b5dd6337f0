"""The chain: clients of the marketplace's contracts, the transaction sender, the dev chain.

Reading needs a `Chain` and a client such as `Marketplace`; writing needs a `TransactionSender`
as well (docs/chain.md).
"""
