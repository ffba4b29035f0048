"""What the environment may say to the operator, and what is answered when it makes no sense."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from serin import main


def test_without_a_word_the_defaults_hold() -> None:
    assert main.read_settings({}) == main.Settings()


def test_everything_can_be_said(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    found = main.read_settings(
        {
            "SERIN_PROMETHEUS_URL": "https://prometheus.example",
            "SERIN_EVALUATION_SECONDS": "2.5",
            "SERIN_ALERT_POLL_SECONDS": "0.2",
            "SERIN_WATCH_NAMESPACES": "trading, research,",
            "SERIN_LOG_LEVEL": "debug",
            "SERIN_LOG_FORMAT": "json",
            "SERIN_WEBHOOK_TOKEN_FILE": str(token),
            "SERIN_PORT": "9000",
        }
    )
    assert found == main.Settings(
        prometheus_url="https://prometheus.example",
        evaluation_seconds=2.5,
        alert_poll_seconds=0.2,
        namespaces=("trading", "research"),
        log_level="DEBUG",
        log_format="json",
        webhook_token="s3cret",
        port=9000,
    )


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("SERIN_PROMETHEUS_URL", "prometheus:9090", "is 'prometheus:9090'; expected http://… or https://…"),
        ("SERIN_EVALUATION_SECONDS", "often", "is 'often'; expected a number above 0"),
        ("SERIN_EVALUATION_SECONDS", "0", "is '0'; expected a number above 0"),
        ("SERIN_EVALUATION_SECONDS", "nan", "is 'nan'; expected a number above 0"),
        ("SERIN_ALERT_POLL_SECONDS", "-1", "is '-1'; expected a number above 0"),
        ("SERIN_PORT", "inf", "is 'inf'; expected a number above 0"),
        ("SERIN_LOG_LEVEL", "LOUD", "is 'LOUD'; expected DEBUG, INFO, WARNING or ERROR"),
        ("SERIN_LOG_FORMAT", "xml", "is 'xml'; expected text or json"),
        ("SERIN_WEBHOOK_TOKEN_FILE", "/nowhere", "is '/nowhere', which cannot be read: No such file or directory"),
    ],
)
def test_what_makes_no_sense_is_named_with_what_was_expected(name: str, text: str, sentence: str) -> None:
    with pytest.raises(main.SettingsError) as caught:
        main.read_settings({name: text})
    assert str(caught.value) == f"{name} {sentence}"


def test_the_token_is_not_shown() -> None:
    assert "s3cret" not in repr(main.Settings(webhook_token="s3cret"))


def test_a_setting_that_makes_no_sense_ends_the_process_with_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "serin.main"],
        env={"SERIN_PORT": "http", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == "serin: SERIN_PORT is 'http'; expected a number above 0\n"


def test_a_line_of_the_log_is_an_object() -> None:
    record = logging.LogRecord("serin.x", logging.WARNING, "f", 1, "%s kg", ("äpfel",), None)
    line = json.loads(main.JsonFormatter().format(record))
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "serin.x", "äpfel kg")
