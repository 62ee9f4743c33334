import pytest

from jaas_archive.settings import ReceiverSettings, SettingsError

COMPLETE = {
    "DOWNLOAD_QUEUE_URL": "https://sqs/download",
    "MEETING_QUEUE_URL": "https://sqs/meeting",
    "WEBHOOK_SECRET_ARN": "arn",
    "SIGNATURE_TOLERANCE_SECONDS": "86400",
    "ALLOWED_APP_IDS": "one, two,",
    "ALLOWED_LINK_ORIGINS": "https://*.oraclecloud.com",
    "FILE_KINDS": "all",
    "ALLOWED_SOURCE_IPS": "",
    "CLAIM_BUCKET_NAME": "claims",
}


def test_reads_numbers_and_lists() -> None:
    settings = ReceiverSettings.from_env(COMPLETE)
    assert settings.signature_tolerance_seconds == 86400
    assert settings.allowed_app_ids == {"one", "two"}


@pytest.mark.parametrize("name", sorted(COMPLETE))
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is missing"):
        ReceiverSettings.from_env({key: value for key, value in COMPLETE.items() if key != name})


def test_an_unreadable_number_is_named() -> None:
    with pytest.raises(SettingsError, match="SIGNATURE_TOLERANCE_SECONDS is unreadable"):
        ReceiverSettings.from_env(COMPLETE | {"SIGNATURE_TOLERANCE_SECONDS": "a day"})
