"""The bundle's one encoding."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.bundle import MAGIC, MAX_BUNDLE_BYTES, Bundle
from platformless.protocol.digests import ProofHash
from platformless.protocol.errors import BundleFormatError

from ..samples import BUNDLE
from ..strategies import bytes32

bundles = st.builds(
    Bundle,
    claim_kind=st.text(max_size=10),
    assurance=st.text(max_size=10),
    image_id=bytes32,
    zkvm=st.text(max_size=20),
    verifier_parameters=bytes32,
    receipt_kind=st.text(max_size=10),
    journal=st.binary(max_size=600),
    receipt=st.binary(max_size=600),
    acknowledgement=st.none() | st.binary(min_size=65, max_size=65),
)


def fields_of(bundle: Bundle) -> dict[str, object]:
    return dict(msgspec.structs.asdict(bundle))


def pack(fields: object) -> bytes:
    return MAGIC + msgspec.msgpack.encode(fields)


@given(bundles)
def test_a_bundle_decodes_to_itself(bundle: Bundle) -> None:
    data = bundle.encode()
    assert Bundle.decode(data) == bundle
    assert bundle.proof_hash == ProofHash.of(data)


@given(bundles, st.data())
def test_no_other_bytes_decode_to_the_same_bundle(bundle: Bundle, data: st.DataObject) -> None:
    encoded = bytearray(bundle.encode())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = Bundle.decode(bytes(encoded))
    except BundleFormatError:
        return
    assert decoded != bundle


@given(bundles, st.data())
def test_a_cut_or_longer_bundle_is_refused(bundle: Bundle, data: st.DataObject) -> None:
    encoded = bundle.encode()
    cut = data.draw(st.integers(0, len(encoded) - 1))
    for damaged in (encoded[:cut], encoded + b"\0", encoded + encoded):
        with pytest.raises(BundleFormatError):
            Bundle.decode(damaged)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    for candidate in (data, MAGIC + data):
        with pytest.raises(BundleFormatError):
            Bundle.decode(candidate)


@given(bundles)
def test_fields_in_another_order_are_not_canonical(bundle: Bundle) -> None:
    fields = fields_of(bundle)
    backwards = dict(reversed(list(fields.items())))
    with pytest.raises(BundleFormatError, match="canonical"):
        Bundle.decode(pack(backwards))


@given(bundles)
def test_unknown_and_missing_fields_are_refused(bundle: Bundle) -> None:
    fields = fields_of(bundle)
    with pytest.raises(BundleFormatError, match="unknown field `extra`"):
        Bundle.decode(pack({**fields, "extra": 1}))
    for name in fields:
        if name == "acknowledgement":
            continue
        rest = {key: value for key, value in fields.items() if key != name}
        with pytest.raises(BundleFormatError):
            Bundle.decode(pack(rest))


def test_another_format_version_is_named() -> None:
    with pytest.raises(BundleFormatError, match="another format version") as caught:
        Bundle.decode(pack({**fields_of(BUNDLE), "format": 2}))
    assert (caught.value.expected, caught.value.got) == (1, 2)


def test_size_and_nesting_are_capped() -> None:
    with pytest.raises(BundleFormatError, match="too large"):
        Bundle.decode(bytes(MAX_BUNDLE_BYTES + 1))
    with pytest.raises(BundleFormatError, match="does not decode"):
        Bundle.decode(MAGIC + b"\x91" * 100_000 + b"\xc0")
