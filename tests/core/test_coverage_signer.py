"""Keys and signatures of digests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.signer import Signer, is_signed, key_of
from hub.errors import BadInput


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(0, 511))
def test_a_signature_holds_for_its_digest_and_no_other(private: bytes, digest: bytes, bit: int) -> None:
    signer = Signer(private)
    signature = signer.sign(digest)
    assert is_signed(digest, signature, signer.public)
    flipped = bytearray(bytes.fromhex(signature))
    flipped[bit // 8] ^= 1 << bit % 8
    assert not is_signed(digest, flipped.hex(), signer.public)
    assert not is_signed(bytes(32) if digest != bytes(32) else bytes(31) + b"1", signature, signer.public)


@given(st.text("0123456789abcdefgé \x00", max_size=63))
def test_what_is_no_key_is_refused_without_being_shown(written: str) -> None:
    with pytest.raises(BadInput) as refused:
        key_of(written, "ANXIN_LEDGER_KEY")
    assert str(refused.value) == "ANXIN_LEDGER_KEY: is no Ed25519 key: 64 hexadecimal digits are expected"


@pytest.mark.parametrize("written", ["", "ab" * 31, "ab" * 33, "gh" * 32, "ab" * 31 + "é"])
def test_a_key_is_sixty_four_hexadecimal_digits(written: str) -> None:
    with pytest.raises(BadInput, match="64 hexadecimal digits"):
        key_of(written, "--key")
    assert key_of(" " + "aB" * 32 + "\n", "--key") == bytes.fromhex("ab" * 32)
