import pytest

from jaas_archive.credentials import Credentials, read_credentials


@pytest.mark.parametrize(
    ("text", "secrets", "authorizations"),
    [
        ("", (), ()),
        (" whsec_a,whsec_b\nwhsec_c ", ("whsec_a", "whsec_b", "whsec_c"), ()),
        ('{"secret": "whsec_a"}', ("whsec_a",), ()),
        ('{"secret": "whsec_a whsec_b", "authorization": "Bearer x, y"}', ("whsec_a", "whsec_b"), ("Bearer x, y",)),
        (
            ' {"secret": ["whsec_a", "whsec_b"], "authorization": ["Basic a==", "Basic b=="]}',
            ("whsec_a", "whsec_b"),
            ("Basic a==", "Basic b=="),
        ),
        ('{"authorization": "Bearer x"}', (), ("Bearer x",)),
    ],
)
def test_reads_secrets_and_authorizations(text: str, secrets: tuple[str, ...], authorizations: tuple[str, ...]) -> None:
    assert read_credentials(text) == Credentials(secrets, authorizations)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"secret": 7}',
        '{"secret": [7]}',
        '{"secret": "whsec_a", "authorization": ""}',
        '{"secret": "whsec_a", "authorization": null}',
        '{"secret": "whsec_a", "authorization": []}',
        '{"secret": []}',
        '["whsec_a"]',
        "[]",
        '"whsec_a"',
        ' ""',
        '{"secret": "whsec_a", "Authorization": "Bearer x"}',
        '{"whsec_a": ""}',
    ],
)
def test_what_is_nearly_right_lets_nobody_in(text: str) -> None:
    with pytest.raises(ValueError, match="webhook secret") as raised:
        read_credentials(text)
    assert "whsec_a" not in str(raised.value)


def test_without_an_authorization_of_ours_the_header_does_not_matter() -> None:
    assert Credentials(("whsec_a",)).authorize("anything")


@pytest.mark.parametrize("header", ["", "Bearer", "bearer x", "Bearer x ", "Bearer y", "\ud800"])
def test_any_other_authorization_is_refused(header: str) -> None:
    assert not Credentials(("whsec_a",), ("Bearer x", "Bearer z")).authorize(header)
