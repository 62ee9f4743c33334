from jaas_archive.signature import SignatureHeader, verify
from local.jaas.samples import SAMPLES_FOLDER
from local.jaas.signing import sign, signature_header


def test_signs_the_published_vector_as_8x8_does() -> None:
    body = (SAMPLES_FOLDER / "signature_vector.json").read_bytes()
    signature = sign("whsec_9635df66714a4cf088ee9d0979dd3bf6", body, 1632490060)
    assert signature == "xlzqEojlh4qb21sQpXYsWgyK8x9HVpz+RQldsv18rV0="


def test_the_archive_accepts_the_header() -> None:
    header = SignatureHeader.parse(signature_header("whsec_x", b"{}", 1700000000))
    verify(header, b"{}", secrets=["whsec_x"], now_seconds=1700000000, tolerance_seconds=0)
