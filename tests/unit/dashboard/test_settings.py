"""The settings table: what the environment may say, and what it hears when it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from atlas.errors import InputError
from dashboard.settings import PREFIX, Settings, document, environment, load, variable


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load({}) == Settings()


def test_values_are_read_as_their_types() -> None:
    settings = load(
        {
            "GALAXY_FINDER_ATLAS": "/srv/atlas",
            "GALAXY_FINDER_PORT": " 9000 ",
            "GALAXY_FINDER_ACCESS_LOG": "TRUE",
            "GALAXY_FINDER_NEAREST_RADIUS_ARCSEC": "2.5",
            "GALAXY_FINDER_ALLOWED_HOSTS": "galaxies.example, localhost",
            "GALAXY_FINDER_CACHE_TYPE": "RedisCache",
            "PATH": "/bin",
        }
    )
    assert settings.atlas == Path("/srv/atlas")
    assert settings.port == 9000
    assert settings.access_log is True
    assert settings.nearest_radius_arcsec == 2.5
    assert settings.allowed_hosts == ("galaxies.example", "localhost")
    assert settings.cache_type == "RedisCache"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "abc", "a whole number from 0 to 65,535"),
        ("PORT", "65536", "a whole number from 0 to 65,535"),
        ("PORT", "80.5", "a whole number from 0 to 65,535"),
        ("ACCESS_LOG", "maybe", "true or false"),
        ("CACHE_TYPE", "filesystem", "FileSystemCache or RedisCache"),
        ("REDIS_URL", "http://example", "an address that starts with redis://, rediss:// or unix://"),
        ("NEAREST_RADIUS_ARCSEC", "nan", "a number above 0 to 3,600"),
        ("NEAREST_RADIUS_ARCSEC", "inf", "a number above 0 to 3,600"),
        ("CACHE_BYTES", "5", "a whole number from 1,000,000"),
        ("ATLAS", "", "a path"),
        ("HOST", "", "text"),
    ],
)
def test_a_wrong_value_names_the_variable_the_value_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{PREFIX}{name} is {value!r}: allowed is {allowed}")):
        load({PREFIX + name: value})


def test_a_misspelt_limit_is_not_silently_the_default() -> None:
    with pytest.raises(InputError, match=r"GALAXY_FINDER_MAX_BODY_BYTE is not a setting; did you mean \w+BODY_BYTES"):
        load({"GALAXY_FINDER_MAX_BODY_BYTE": "1024"})


def test_limits_that_contradict_each_other_are_refused() -> None:
    message = "NEAREST_RADIUS_ARCSEC is 900.0: allowed is at most GALAXY_FINDER_NEAREST_SEARCH_ARCSEC"
    with pytest.raises(InputError, match=message):
        load({}, nearest_radius_arcsec=900, nearest_search_arcsec=60)


def test_what_is_given_wins_over_the_environment_and_is_checked_alike() -> None:
    environ = {"GALAXY_FINDER_PORT": "9000", "PORT": "7000", "WEB_CONCURRENCY": "3"}
    assert load(environ).port == 9000
    assert load(environ, port=9001, host=None).port == 9001
    assert load({"PORT": "7000"}).port == 7000
    assert load(environ).workers == 3
    with pytest.raises(InputError, match="GALAXY_FINDER_PORT is '-1'"):
        load(environ, port=-1)


def test_another_process_reads_the_same_settings() -> None:
    settings = load({}, atlas="/srv/atlas", allowed_hosts=("a", "b"), access_log=True, nearest_radius_arcsec=1.5)
    assert load(environment(settings)) == settings


def test_the_document_has_one_row_for_each_setting() -> None:
    rows = document().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [variable(name) for name in Settings.__struct_fields__]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4
        assert all(cells)
        assert cells[3].endswith(".")
