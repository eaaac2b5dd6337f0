"""Nodes find one another by model, over libp2p's DHT: a process of its own, off unless wanted.

| process | has | does |
|---|---|---|
| `serve` | the host's key, no libp2p | signs the node record and renews it (`keeping`) |
| `p2p` | libp2p and a key of its own, not the host's | announces the models, serves the record |
| `peers` | libp2p and a key for once | finds nodes, believes what hosts signed (`checking`) |

Only `host`, `guarding`, `providers`, `service` and `finding` import libp2p, which runs on trio.
"""
