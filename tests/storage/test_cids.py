"""Names of blobs: the published vectors, and what is refused with which reason."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.errors import ValueOutOfRange
from platformless.storage.cids import Base, BlobHash, BlobId
from platformless.storage.errors import (
    CidError,
    MalformedText,
    NotABlob,
    SizeTooLong,
    UnknownBase,
    UnknownHashTag,
    WrongLength,
)

HELLO = BlobId.of(b"Hello, world!")
S5_JS = BlobId(
    BlobHash.from_hex("e40b877081c208036d451b898700b4bf938792ffa3e4426f2bf871aa057d992b"), 5050
)
LIB5 = BlobId(
    BlobHash.from_hex("479693009307376069d47e545e5963f08fa56d8378a11b25c560d7bf2af25b1a"),
    1_536_155_487,
)
EMPTY = BlobId.of(b"")

V1_VECTORS: list[tuple[BlobId, Base, str]] = [
    (HELLO, "f", "f5b821eede5c0b10f2ec4979c69b52f61e42ff5b413519ce09be0f14d098dcfe5f6f98d0d"),
    (HELLO, "b", "blobb53pfycyq6lwes6ogtnjpmhsc75nucnizzye34dyu2cmnz7s7n6mnbu"),
    (HELLO, "z", "zhJTU2Mz5tATfj9rc5xorsXiadvYq3idS4CznEfW9Zg9zfksX2"),
    (HELLO, "u", "uW4Ie7eXAsQ8uxJecabUvYeQv9bQTUZzgm-DxTQmNz-X2-Y0N"),
    (S5_JS, "b", "blobb5zalq5yidqqianwukg4jq4aljp4tq6jp7i7eijxsx6drvicx3gjlxijq"),
    (S5_JS, "z", "z44t3p46N4Fmqc1STusbaEoZ2HeDCFNNFRGys8SJsDvV9kHyMUbt"),
    (S5_JS, "u", "uW4Ie5AuHcIHCCANtRRuJhwC0v5OHkv-j5EJvK_hxqgV9mSu6Ew"),
    (EMPTY, "b", "blobb5lytjg47l6nbu2qeatpkg3omssm3zms4tlobck34zgutzlsb6mtc"),
]
LEGACY_VECTORS: list[tuple[BlobId, Base, int, str]] = [
    (HELLO, "z", 0x1F, "z4odvyg7EbrxBZ5mJjwSJEr47rdfL4jbVDrBfQnzzwNUup8s6"),
    (HELLO, "u", 0x1F, "uJh_t5cCxDy7El5xptS9h5C_1tBNRnOCb4PFNCY3P5fb5jQ0"),
    (HELLO, "z", 0x1E, "z4occvu2MXvWcJzzaipyN5vcEL8Kp6JrkWa7TbkokbZARcHrU"),
    (HELLO, "u", 0x1E, "uJh7t5cCxDy7El5xptS9h5C_1tBNRnOCb4PFNCY3P5fb5jQ0"),
    (LIB5, "u", 0x1F, "uJh9HlpMAkwc3YGnUflReWWPwj6Vtg3ihGyXFYNe_KvJbGl_fj1s"),
    (LIB5, "b", 0x1F, "beypupfutacjqon3anhkh4vc6lfr7bd5fnwbxrii3excwbv57flzfwgs736hvw"),
    (LIB5, "z", 0x1F, "z6e5mLE5CqXdaPxWaD1h4tCMibSH1adYGAyGrWn5xpNNf4CMVxDxW"),
]
SIZE_VECTORS = [
    (0, "aa"),
    (1, "ab"),
    (42, "bk"),
    (255, "h7"),
    (256, "aaae"),
    (65_535, "h774"),
    (65_536, "aaaaaq"),
    (57_124_823, "gxu5tqg"),
]
sizes = st.integers(0, 2**64 - 1) | st.integers(0, 70_000)
blob_ids = st.builds(BlobId, st.binary(min_size=32, max_size=32).map(BlobHash), sizes)
bases = st.sampled_from(["b", "f", "u", "z"])
tags = st.sampled_from([0x1E, 0x1F])


def hexadecimal(text: str) -> BlobId:
    return BlobId.parse("f" + text.replace(" ", ""))


@pytest.mark.parametrize(("blob", "base", "text"), V1_VECTORS)
def test_blob_identifiers_are_those_of_the_specification(
    blob: BlobId, base: Base, text: str
) -> None:
    assert blob.encode(base) == text
    assert BlobId.parse(text) == blob


@pytest.mark.parametrize(("blob", "base", "tag", "text"), LEGACY_VECTORS)
def test_raw_cids_are_those_of_legacy_portals(
    blob: BlobId, base: Base, tag: int, text: str
) -> None:
    assert blob.legacy(base, tag) == text
    assert BlobId.parse(text) == blob


def test_known_blobs_have_their_known_hashes() -> None:
    assert HELLO.hash.value.hex() == (
        "ede5c0b10f2ec4979c69b52f61e42ff5b413519ce09be0f14d098dcfe5f6f98d"
    )
    assert HELLO.size == 13
    assert EMPTY.hash.value.hex() == (
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    )
    assert S5_JS.encode("f").endswith("992bba13")
    assert HELLO.multihash(0x1F) == b"\x1f" + HELLO.hash.value


@pytest.mark.parametrize(("size", "tail"), SIZE_VECTORS)
def test_sizes_are_little_endian_without_trailing_zeros(size: int, tail: str) -> None:
    # These vectors leave out the tag; with one zero byte of size, S5 writes 0 as lib5 does.
    coded = (size.to_bytes(8, "little")).rstrip(b"\0") or b"\0"
    text = base64.b32encode(b"\x5b\x82" + bytes(32) + coded).decode().lower().rstrip("=")
    assert "b" + text == "blob" + "a" * 51 + tail
    written = bytes.fromhex(BlobId(BlobHash.zero(), size).encode("f")[1:])
    assert written[35:] == (b"" if size == 0 else coded)


def test_an_empty_blob_is_read_with_and_without_its_size_byte() -> None:
    assert BlobId.parse(EMPTY.encode() + "aa") == EMPTY
    assert hexadecimal("26 1f" + EMPTY.hash.value.hex()) == EMPTY
    assert EMPTY.legacy("f").endswith("00")


@given(blob_ids, bases, tags)
def test_every_spelling_is_read_back(blob: BlobId, base: Base, tag: int) -> None:
    assert BlobId.parse(blob.encode(base)) == blob
    assert BlobId.parse(blob.legacy(base, tag)) == blob


@given(blob_ids)
def test_spellings_are_twelve_and_name_the_same_blob(blob: BlobId) -> None:
    spellings = blob.spellings()
    assert len(set(spellings.values())) == 12
    assert {BlobId.parse(text) for text in spellings.values()} == {blob}
    assert str(blob) == spellings["v1-base32"]
    assert 36 <= len(str(blob).removeprefix("blob")) + 4 <= 70


@given(blob_ids, st.sampled_from(["", " ", "\n", "\t "]), st.sampled_from(["", "s5://", "S5://"]))
def test_white_space_and_the_scheme_are_ignored(blob: BlobId, space: str, scheme: str) -> None:
    assert BlobId.parse(f"{space}{scheme}{blob}{space}") == blob


@given(blob_ids, st.sampled_from(["b", "f"]))
def test_capitals_are_read_where_the_base_has_none(blob: BlobId, base: Base) -> None:
    assert BlobId.parse(blob.encode(base).upper()) == blob
    assert BlobId.parse(base + blob.legacy(base)[1:].upper()) == blob


@given(blob_ids, tags, st.integers(0, 8))
def test_zero_bytes_after_the_size_change_nothing(blob: BlobId, tag: int, zeros: int) -> None:
    written = bytes.fromhex(blob.legacy("f", tag)[1:])[:34]
    padded = blob.size.to_bytes(8, "little").rstrip(b"\0").ljust(zeros, b"\0")
    assert hexadecimal((written + padded).hex()) == blob


@given(st.text(max_size=80))
def test_any_text_is_a_blob_or_a_coded_error(text: str) -> None:
    try:
        blob = BlobId.parse(text)
    except CidError as error:
        assert error.code.startswith("STO-10")
        assert error.code != "STO-100"
    else:
        assert BlobId.parse(str(blob)) == blob


@given(blob_ids, bases, st.data())
def test_a_text_with_one_other_character_never_names_the_same_blob(
    blob: BlobId, base: Base, data: st.DataObject
) -> None:
    text = blob.encode(base)
    at = data.draw(st.integers(1, len(text) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c.lower() != text[at].lower()))
    try:
        changed = BlobId.parse(text[:at] + other + text[at + 1 :])
    except CidError:
        return
    assert changed != blob


@pytest.mark.parametrize("text", ["", "  ", "s5://", "mABC", "hello", "Qm123", "0x5b82", "Zabc"])
def test_an_unknown_base_is_named(text: str) -> None:
    with pytest.raises(UnknownBase):
        BlobId.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "f5b8",  # half a byte
        "f" + "g" * 70,
        "b" + "1" * 50,
        "z0OIl",
        "u+/+/",
        str(HELLO)[:-1] + "v",  # spare bits that are not zero
        str(HELLO) + "=",
        "f5b 82" + HELLO.encode("f")[5:],
    ],
)
def test_a_text_that_is_not_of_its_base_is_refused(text: str) -> None:
    with pytest.raises(MalformedText):
        BlobId.parse(text)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        ("ae a6 12", "encrypted"),
        ("ed", "ed25519"),
        ("5c", "registry message"),
        ("5d 1f", "directory"),
        ("c5 1f", "media"),
        ("59 1f", "web app"),
        ("5e", "encrypted mutable"),
        ("3a", "bridge"),
        ("5b 81", "not of a blob"),
        ("70", "no known kind"),
    ],
)
def test_other_identifiers_are_refused_by_name(start: str, name: str) -> None:
    with pytest.raises(NotABlob) as error:
        hexadecimal(start + "1f" + "00" * 40)
    assert name in str(error.value.got)


@pytest.mark.parametrize("tag", ["12", "00", "1d", "20"])
def test_another_hash_is_refused(tag: str) -> None:
    with pytest.raises(UnknownHashTag) as error:
        hexadecimal("5b82" + tag + "00" * 33)
    assert tag in str(error.value.got)
    assert ("SHA2-256" in str(error.value.got)) == (tag == "12")


@pytest.mark.parametrize("length", [1, 2, 33, 34])
def test_an_identifier_cut_short_is_refused(length: int) -> None:
    with pytest.raises((WrongLength, NotABlob)):
        BlobId.parse("f" + HELLO.encode("f")[1:][: 2 * length])
    with pytest.raises(WrongLength):
        BlobId.parse("f" + HELLO.legacy("f")[1:][: 2 * min(length, 33)])


def test_a_text_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(WrongLength):
        BlobId.parse("z" + "1" * 1_000_000)


def test_a_size_of_nine_bytes_is_refused() -> None:
    with pytest.raises(SizeTooLong):
        hexadecimal("5b821e" + "00" * 32 + "00" * 9)


def test_values_that_cannot_be_written_cannot_be_made() -> None:
    with pytest.raises(ValueOutOfRange):
        BlobId(HELLO.hash, -1)
    with pytest.raises(ValueOutOfRange):
        BlobId(HELLO.hash, 2**64)
    with pytest.raises(UnknownHashTag):
        HELLO.legacy(tag=0x12)
    with pytest.raises(UnknownBase):
        HELLO.encode("m")  # type: ignore[arg-type]
    with pytest.raises(WrongLength):
        BlobHash.from_multihash(bytes(32))
