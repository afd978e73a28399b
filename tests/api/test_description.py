"""What the API says of itself, and whether it is so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import URLResolver, get_resolver
from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
from drf_spectacular.validation import validate_schema
from rest_framework.views import APIView

from api.description import postman
from api.description.views import DocsView, SchemaView, schema
from api.management.commands.postman import COLLECTION
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return schema()


def test_it_is_made_without_a_warning() -> None:
    reset_generator_stats()
    validate_schema(schema.__wrapped__())
    assert not GENERATOR_STATS, "see api/description/"


def addresses(patterns: Iterable[Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Each that the URL conf gives one of our views by name, and that view. Those without a name
    are the same once more: see ``both_ways``."""
    for pattern in patterns:
        path = before + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        elif pattern.name and issubclass(getattr(pattern.callback, "cls", object), APIView):
            yield f"/{path.replace('{pk}', '{id}')}", pattern.callback.cls


def test_every_address_is_described(described: dict[str, Any]) -> None:
    there_are = {
        (path, method)
        for path, view in addresses(get_resolver().url_patterns)
        for method in view.http_method_names
        if hasattr(view, method) and view not in (SchemaView, DocsView) and method != "head"
    }
    told = {(path, method) for path, methods in described["paths"].items() for method in methods}
    assert there_are == told, "see api/description/"
    assert len(there_are) >= 30


def test_every_operation_has_an_id_a_tag_and_a_summary(described: dict[str, Any]) -> None:
    operations = [o for methods in described["paths"].values() for o in methods.values()]
    assert all(operation["summary"] for operation in operations)
    ids = [operation["operationId"] for operation in operations]
    assert sorted(set(ids)) == sorted(ids)
    tags = {tag for operation in operations for tag in operation["tags"]}
    assert tags == {tag["name"] for tag in described["tags"]}


def test_the_form_of_a_question_has_a_file(described: dict[str, Any]) -> None:
    [(media_type, body)] = described["paths"]["/api/voice/"]["post"]["requestBody"][
        "content"
    ].items()
    form = described["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
    assert media_type == "multipart/form-data"
    assert form["properties"]["audio"]["format"] == "binary"
    assert form["required"] == ["audio"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/json"),
        ("application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
        ("application/yaml", "application/yaml"),
    ],
)
def test_it_is_served(client: Client, accept: str, content_type: str) -> None:
    response = client.get("/api/schema/", headers={"Accept": accept})
    assert response.status_code == 200
    assert response["Content-Type"].partition(";")[0] == content_type
    assert "3.1.0" in response.content.decode()[:100]


def test_the_page_holds_no_script_and_brings_all_it_needs(client: Client) -> None:
    response = client.get("/api/docs/", headers={"Accept": "text/html"})
    page = response.content.decode()
    assert response["Content-Type"].startswith("text/html")
    assert "script-src 'self';" in response["Content-Security-Policy"]
    assert not re.search(r"<style|style=|<script(?![^>]* src=)|\son\w+=", page)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(addresses) == 5
    for address in addresses:
        assert address.startswith("/static/")
        assert finders.find(address.removeprefix("/static/")), address
    assert client.get("/api/docs").status_code == 200


def test_the_collection_is_up_to_date(described: dict[str, Any]) -> None:
    kept = (ROOT / COLLECTION).read_text("utf-8")
    assert kept == postman.text(described), "run `make postman`"


def test_the_collection_calls_every_address_with_a_recording_where_one_is_needed(
    described: dict[str, Any],
) -> None:
    made = postman.collection(described)
    calls = [call["request"] for folder in made["item"] for call in folder["item"]]
    called = {re.sub(r":(\w+)", r"{\1}", "/" + "/".join(c["url"]["path"])) for c in calls}
    assert called == set(described["paths"])
    spoken = [c for c in calls if c["url"]["raw"].endswith("/api/voice/")]
    accepted = [call["header"][0]["value"] for call in spoken]
    assert accepted == ["audio/wav", "application/json", "audio/L16", "text/event-stream"]
    for call in spoken:
        first, *others = call["body"]["formdata"]
        assert (first["key"], first["type"]) == ("audio", "file")
        assert all(other["disabled"] for other in others)


def test_the_collection_takes_up_what_it_was_told(described: dict[str, Any]) -> None:
    """Each variable is told of; the ids of addresses are remembered from answers."""
    made = postman.collection(described)
    calls = json.dumps(made["item"])
    variables = {variable["key"] for variable in made["variable"]}
    assert set(re.findall(r"\{\{(\w+)\}\}", calls)) | {"api_key"} == variables
    assert all(f"`{name}`" in made["info"]["description"] for name in variables)
    remembered = re.findall(r"collectionVariables[.]set\(\W+(\w+)", calls)
    assert set(remembered) == {"conversation", "turn", "job", "speech", "model"}
