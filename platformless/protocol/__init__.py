"""Pure values and bytes of the protocol: no IO, no clock, no settings.

`digests` and `words` are the alphabet; `terms`, `header`, `transcript`, `window` and `claim` say
what is proven; `acknowledgement` what a client signs; `bundle` what is published; `record` what a
proof is made from. Layouts are in docs/formats.md.
"""
