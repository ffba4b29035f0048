"""Settings: read from the environment, secrets from files, and refused in sentences that give no secret away."""

from pathlib import Path

import pytest

from serin_services.registry import errors, settings, wiring

SECRET = "s" * 40
GIVEN = {"JWT_ISSUER": "https://issuer.test", "JWT_ALGORITHM": "HS256", "JWT_SECRET": SECRET}


def read(**given: str) -> settings.Settings:
    return settings.read({f"SERIN_REGISTRY_{name}": value for name, value in {**GIVEN, **given}.items()})


def test_what_is_not_said_has_a_default() -> None:
    found = read()

    assert found.is_sqlite
    assert (found.host, found.port, found.metrics_port, found.cluster) == ("127.0.0.1", 8080, 9090, "off")
    assert SECRET not in repr(found)


def test_a_secret_comes_from_a_file_and_goes_before_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{'f' * 40}\n")

    found = read(JWT_SECRET_FILE=str(file))

    assert found.jwt_secret
    assert found.jwt_secret.get_secret_value() == "f" * 40


def test_lists_are_separated_by_commas() -> None:
    assert read(NAMESPACES="a, b,,c").namespaces == ("a", "b", "c")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param({"JWT_ISSUER": ""}, "jwt_issuer: expected who signs", id="nobody signs"),
        pytest.param({"JWT_ALGORITHM": "none"}, "jwt_algorithm", id="no algorithm"),
        pytest.param({"JWT_ALGORITHM": "RS256"}, "jwks_url", id="no keys"),
        pytest.param({"JWT_SECRET": "hunter2"}, "at least 32", id="a secret that can be guessed"),
        pytest.param({"JWT_SECRET_FILE": "/nowhere"}, "SERIN_REGISTRY_JWT_SECRET_FILE: /nowhere", id="no file"),
        pytest.param({"PORT": "http"}, "port", id="a port that is none"),
        pytest.param({"PORT": "70000"}, "port", id="a port that is too large"),
        pytest.param({"RATE": "often"}, "rate: ", id="a rate that is none"),
        pytest.param({"HEADER_SECONDS": "0"}, "header_seconds", id="no time at all"),
        pytest.param({"TLS_CERT": "/a"}, "tls_cert, tls_key", id="a certificate without its key"),
        pytest.param({"S3_ACCESS_KEY": "hunter2"}, "s3_access_key, s3_secret_key", id="half a pair of keys"),
    ],
)
def test_a_wrong_setting_is_a_sentence(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match="SERIN_REGISTRY_") as refused:
        read(**given)

    assert sentence in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("where", ["s3://", "s3://bucket", "s3://bucket/below"])
def test_a_bucket_needs_an_endpoint_and_keys_and_is_its_own(where: str) -> None:
    with pytest.raises(errors.InvalidError, match="artifacts: expected s3://"):
        wiring.open_store(read(ARTIFACTS=where))


def test_a_database_of_another_kind_is_refused_without_its_password() -> None:
    with pytest.raises(errors.InvalidError, match="neither postgresql") as refused:
        wiring.open_database(read(DATABASE="mysql://u:hunter2@h/d"))

    assert "hunter2" not in str(refused.value)
