import pytest

from local import scale


def test_the_page_has_what_the_script_calculates() -> None:
    page = scale.PAGE.read_text()
    assert page.partition(scale.BEGIN)[2].partition(scale.END)[0].strip() == scale.tables(), (
        "python -m local.scale --write"
    )


@pytest.mark.parametrize("limit", scale.LIMITS, ids=lambda limit: limit.name)
def test_at_the_given_scale_the_quota_is_just_spent(limit: scale.Limit) -> None:
    assert limit.use(limit.reached_at) == pytest.approx(limit.quota, rel=0.01)


def test_a_million_meetings_fit_with_the_parameters_of_the_last_table() -> None:
    assert scale.events_per_second(1_000_000) * scale.PEAK.value <= 5_000
    assert scale.downloaders(1_000_000) * 2 <= 1_000
    assert scale.enrichers(1_000_000) * 2 <= 1_000
