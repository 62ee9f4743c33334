import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.errors import SignatureError
from jaas_archive.signature import MAX_CANDIDATES, SignatureHeader, sign, verify

VECTOR = (Path(__file__).parents[2] / "events" / "signature_vector.json").read_bytes()
VECTOR_SECRET = "whsec_9635df66714a4cf088ee9d0979dd3bf6"
VECTOR_HEADER = "t=1632490060,v1=xlzqEojlh4qb21sQpXYsWgyK8x9HVpz+RQldsv18rV0="


def check(header: str, body: bytes, *secrets: str, now: float = 1632490060, tolerance: int = 300) -> None:
    verify(SignatureHeader.parse(header), body, secrets=secrets, now_seconds=now, tolerance_seconds=tolerance)


def test_the_vector_that_8x8_publishes_verifies() -> None:
    check(VECTOR_HEADER, VECTOR, VECTOR_SECRET)


def test_signing_gives_the_published_signature() -> None:
    assert f"t=1632490060,v1={sign(VECTOR_SECRET, '1632490060', VECTOR)}" == VECTOR_HEADER


@pytest.mark.parametrize("secret", [VECTOR_SECRET.removeprefix("whsec_"), VECTOR_SECRET + " ", "whsec_other"])
def test_another_secret_does_not_verify(secret: str) -> None:
    with pytest.raises(SignatureError, match="does not match"):
        check(VECTOR_HEADER, VECTOR, secret)


def test_an_empty_secret_never_verifies() -> None:
    with pytest.raises(SignatureError):
        check(f"t=1632490060,v1={sign('', '1632490060', VECTOR)}", VECTOR, "")


@given(secret=st.text(min_size=1), body=st.binary(), stamp=st.integers(0, 10**12 - 1))
def test_whatever_is_signed_verifies(secret: str, body: bytes, stamp: int) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    header = f"t={stamp},v0=x,v1={base64.b64encode(bytes(32)).decode()},v1={sign(secret, str(stamp), body)}"
    check(header, body, "other", secret, now=stamp)


@given(position=st.integers(0, len(VECTOR) - 1), flip=st.integers(1, 255))
def test_no_changed_byte_verifies(position: int, flip: int) -> None:
    changed = bytearray(VECTOR)
    changed[position] ^= flip
    with pytest.raises(SignatureError):
        check(VECTOR_HEADER, bytes(changed), VECTOR_SECRET)


@pytest.mark.parametrize(
    ("now", "fits"), [(1632490360, True), (1632490361, False), (1632489760, True), (1632489759, False)]
)
def test_the_tolerance_reaches_both_ways(now: int, *, fits: bool) -> None:
    if fits:
        check(VECTOR_HEADER, VECTOR, VECTOR_SECRET, now=now)
    else:
        with pytest.raises(SignatureError, match="too old"):
            check(VECTOR_HEADER, VECTOR, VECTOR_SECRET, now=now)


def test_the_number_of_comparisons_is_bounded() -> None:
    header = SignatureHeader.parse("t=1632490060" + ",v1=AAAA" * 400)
    assert len(header.candidates) == MAX_CANDIDATES
