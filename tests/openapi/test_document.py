"""The OpenAPI document says what the engine does: endpoints, codes, headers, bodies, examples."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_api.backups import SORTABLE, BackupRecord
from backup_api.endpoints import API_ROOT, Endpoint
from backup_api.hosts import HostRecord
from backup_engine.api_versions import WrongVersionError, choose_spoken
from backup_engine.query.errors import FieldsError, SortError
from backup_engine.query.fields import parse_fields
from backup_engine.query.shapes import build_members
from backup_engine.query.sort import parse_sort
from backup_engine.routes.documentation import document as documented
from backup_engine.routes.openapi import PARAMETERS, TAGS
from backup_engine.routes.table import EXTENSION_RIGHTS, RIGHTS
from listserver import ListServer
from localengine import local_engine

BACKUPS = "/api/backup_and_restore/backups"

SERVED = (*RIGHTS, *EXTENSION_RIGHTS)

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Json:
    directory = tmp_path_factory.mktemp("openapi")
    server = ListServer()
    server.url = "http://127.0.0.1:9"  # nothing asks the cluster for anything

    async def read() -> Json:
        async with local_engine(directory, server.kubeconfig(directory)) as engine:
            answer: Json = (await engine.send("GET", "/api/openapi.json")).json()
            return answer

    return asyncio.run(read())


def operation(document: Json, endpoint: Endpoint) -> Json:
    found: Json = document["paths"][API_ROOT + endpoint.path][endpoint.method.lower()]
    return found


def nodes(value: object) -> Iterator[Mapping[str, Any]]:
    """Every object in the document, from the outside in."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from nodes(inner)


def test_every_endpoint_is_described_and_nothing_of_fastapis_own(document: Json) -> None:
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(each.method, API_ROOT + each.path) for each in SERVED}
    assert "HTTPValidationError" not in document["components"]["schemas"]
    ids = [node["operationId"] for node in nodes(document["paths"]) if "responses" in node]
    assert len(ids) == len(set(ids))
    tags = {tag for node in nodes(document["paths"]) for tag in node.get("tags", ())}
    assert tags <= set(TAGS)


def test_every_row_of_an_endpoint_is_a_code_of_its_answer(document: Json) -> None:
    for endpoint in SERVED:
        responses = operation(document, endpoint)["responses"]
        assert str(endpoint.success) in responses
        for row in endpoint.refusals:
            schema = responses[str(row.http_status)]["content"]["application/json"]["schema"]
            assert row.code in schema["properties"]["code"]["enum"], (endpoint, row)


def test_every_reference_leads_somewhere(document: Json) -> None:
    for node in nodes(document):
        for step in [node["$ref"]] if "$ref" in node else []:
            found: Any = document
            for name in step.removeprefix("#/").split("/"):
                found = found[name]


def test_examples_are_what_their_schemas_ask_for(document: Json) -> None:
    seen = 0
    for node in nodes(document):
        if "schema" in node and "example" in node:
            schema = {**node["schema"], "components": document["components"]}
            jsonschema_rs.validate(schema, node["example"])
            seen += 1
    assert seen > len(RIGHTS) / 2


def test_the_type_is_a_header_spelled_with_an_underscore(document: Json) -> None:
    parameters = document["paths"][BACKUPS]["post"]["parameters"]
    (header,) = [each for each in parameters if each.get("name") == "backup_type"]
    assert header["in"] == "header"
    assert header["required"]
    assert header["schema"]["enum"] == ["CONFIG", "DATA"]
    (fields,) = [each for each in parameters if each.get("name") == "fields"]
    assert fields["in"] == "header"


def test_three_ways_to_authenticate_are_offered(document: Json) -> None:
    schemes = document["components"]["securitySchemes"]
    assert document["security"] == [{name: []} for name in schemes]
    assert (schemes["sec"]["in"], schemes["sec"]["name"]) == ("header", "SEC")


def pattern_of(name: str, endpoint: Endpoint, answer: object) -> re.Pattern[str]:
    options = documented(endpoint, answer)["openapi_extra"]
    (found,) = [each for each in options["parameters"] if each.get("name") == name]
    return re.compile(found["schema"]["pattern"])


ENDPOINTS = {str(each): each for each in RIGHTS}
BACKUP_FIELDS = pattern_of("fields", ENDPOINTS["GET /backup_and_restore/backups"], BackupRecord)
HOST_FIELDS = pattern_of("fields", ENDPOINTS["GET /config/deployment/hosts"], HostRecord)
SORT = pattern_of("sort", ENDPOINTS["GET /backup_and_restore/backups"], BackupRecord)

PIECES = st.sampled_from(
    ["id", "name", "intiated_by", "appliance", "type", "status", "(", ")", ",", " ", "+", "-", "x"]
)


def is_fields(text: str, model: type[BackupRecord | HostRecord]) -> bool:
    try:
        parse_fields(text, build_members(model))
    except FieldsError:
        return False
    return True


@given(st.lists(PIECES, max_size=7).map("".join))
@settings(max_examples=500)
def test_the_pattern_of_fields_is_what_the_engine_takes(text: str) -> None:
    for pattern, model in ((BACKUP_FIELDS, BackupRecord), (HOST_FIELDS, HostRecord)):
        assert (pattern.fullmatch(text) is not None or not text.strip(" ")) is is_fields(
            text, model
        )


@given(st.lists(PIECES, max_size=6).map("".join))
@settings(max_examples=500)
def test_the_pattern_of_sort_is_what_the_engine_takes(text: str) -> None:
    try:
        parse_sort(text, build_members(BackupRecord), SORTABLE)
        is_taken = True
    except SortError:
        is_taken = False
    assert (SORT.fullmatch(text) is not None or not text.strip(" ")) is is_taken


@given(st.text("0129.x ", max_size=6))
@settings(max_examples=500)
def test_a_version_is_spoken_if_and_only_if_the_document_allows_it(text: str) -> None:
    try:
        choose_spoken(text.strip(" "))
        is_spoken = True
    except WrongVersionError:
        is_spoken = False
    is_allowed = re.fullmatch(PARAMETERS["Version"]["schema"]["pattern"], text.strip(" "))
    assert is_spoken is (is_allowed is not None)
