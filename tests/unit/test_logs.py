"""Every line of the log names the request it was made for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from logging.config import DictConfigurator
from typing import Any, Literal

import pytest
from django.conf import settings

from pipeline.ahead import pushed
from pipeline.logs import Identified, request_id

logger = logging.getLogger("tests.logs")

Written = Callable[[], str]


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[Written]:
    """What the log holds, in the format that the test's parameter names, as configured."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Identified())
    formatters: Any = settings.LOGGING["formatters"]
    handler.setFormatter(
        DictConfigurator({"version": 1}).configure_formatter(dict(formatters[request.param]))
    )
    logger.addHandler(handler)
    token = request_id.set("my-turn")
    yield stream.getvalue
    request_id.reset(token)
    logger.removeHandler(handler)


def in_format(name: Literal["line", "json"]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("log", [name], indirect=True)


@in_format("line")
def test_a_line(log: Written) -> None:
    logger.warning("The cache fails: %s", "disk full")
    assert log().endswith("WARNING tests.logs [my-turn] The cache fails: disk full\n")


@in_format("line")
def test_a_line_of_a_thread_ahead(log: Written) -> None:
    def work(push: Callable[[int], bool]) -> None:
        logger.warning("elsewhere")
        push(1)

    with pushed(work) as results:
        assert list(results) == [1]
    assert "[my-turn] elsewhere" in log()


@in_format("line")
def test_a_line_of_no_request(log: Written) -> None:
    token = request_id.set("-")
    logger.warning("alone")
    request_id.reset(token)
    assert "[-] alone" in log()


@in_format("json")
def test_a_line_of_json(log: Written) -> None:
    try:
        raise ValueError("déjà")
    except ValueError:
        logger.exception("Réponse %d", 1, extra={"facts": {"total_s": 0.5}})
    line = json.loads(log())
    assert line.pop("time")
    assert "ValueError: déjà" in line.pop("exc_info")
    assert line == {
        "level": "ERROR",
        "logger": "tests.logs",
        "request_id": "my-turn",
        "message": "Réponse 1",
        "facts": {"total_s": 0.5},
    }
    assert "Réponse" in log()
