"""The description as a collection for Postman, with a call for each kind of answer.

https://schema.postman.com/collection/json/v2.1.0/draft-07/docs/index.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from api.description.chat import RECORDING_BASE64

RECORDING = "question.wav"
"""Where Postman looks for it: in the working directory that its settings name."""

BASE64_VARIABLE = "question_base64"
"""For a recording within JSON, where Postman has no way to put a file."""

FORM = "multipart/form-data"

ABOUT = """\
`base_url` is where it serves; `api_key` is needed beyond the machine itself. Recordings are read
from `question.wav` in the working directory of Postman's settings (of newman: in the current one);
within JSON they are `question_base64`, as `base64 -w0 question.wav` prints it. What is begun is
remembered: its id is in `conversation`, `turn`, `job`, `speech` or `model`, where the next calls
take it from."""

REMEMBERED = {
    ("post", "/api/conversations/"): ("conversation", "told.id"),
    ("get", "/api/conversations/{id}/"): ("turn", "told.turns.at(-1)?.id"),
    ("post", "/api/jobs/"): ("job", "told.id"),
    ("get", "/v1/models"): ("model", "told.data[0].id"),
    ("post", "/api/voice/"): ("speech", "told.speech?.url?.match(/([^/]+)[.]wav$/)?.[1]"),
}
"""Call → the variable that is set from its answer in JSON, and where it is there."""

FROM = {
    ("conversations", "id"): "{{conversation}}",
    ("conversations", "turn"): "{{turn}}",
    ("jobs", "id"): "{{job}}",
    ("speech", "keys"): "{{speech}}",
    ("models", "name"): "{{model}}",
}
"""A part of an address → what is there to begin with."""

Json = dict[str, Any]


def collection(schema: Mapping[str, Any]) -> Json:
    """Of all that ``schema`` describes, a folder per tag."""
    calls: dict[str, list[Json]] = {tag["name"]: [] for tag in schema["tags"]}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            calls[operation["tags"][0]] += _calls(schema, path, method, operation)
    return {
        "info": {
            "name": schema["info"]["title"],
            "description": f"{schema['info']['description']}\n\n{ABOUT}",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": {"type": "bearer", "bearer": [_pair("token", "{{api_key}}")]},
        "variable": [
            _pair("base_url", "http://127.0.0.1:8000"),
            _pair("api_key", ""),
            _pair(BASE64_VARIABLE, ""),
            *(_pair(name, "") for name, _where in REMEMBERED.values()),
        ],
        "item": [
            {
                "name": tag["name"],
                "description": tag["description"],
                "item": sorted(calls[tag["name"]], key=_deletes),
            }
            for tag in schema["tags"]
        ],
    }


def text(schema: Mapping[str, Any]) -> str:
    """The file."""
    return json.dumps(collection(schema), indent=2, ensure_ascii=False) + "\n"


def _calls(schema: Mapping[str, Any], path: str, method: str, operation: Json) -> Iterator[Json]:
    """One, or one for each way to ask and to be answered where there are several."""
    accepted = _accepted(operation)
    for asked, body in _bodies(schema, operation):
        for media_type in accepted:
            request: Json = {
                "method": method.upper(),
                "header": [{"key": "Accept", "value": media_type}],
                "url": _url(path, operation),
                "description": operation.get("description", ""),
                **({"body": body} if body else {}),
            }
            answered = f" ({media_type})" if len(accepted) > 1 else ""
            call = {"name": asked + answered, "request": request, "response": []}
            yield call | _remembering(path, method)


def _deletes(call: Json) -> bool:
    """It comes after those that still need what it deletes."""
    return bool(call["request"]["method"] == "DELETE")


def _remembering(path: str, method: str) -> Json:
    if (method, path) not in REMEMBERED:
        return {}
    name, where = REMEMBERED[method, path]
    script = [
        'if ((pm.response.headers.get("Content-Type") || "").startsWith("application/json")) {',
        "  const told = pm.response.json();",
        f"  const found = {where};",
        f'  if (found) pm.collectionVariables.set("{name}", found);',
        "}",
    ]
    return {"event": [{"listen": "test", "script": {"type": "text/javascript", "exec": script}}]}


def _accepted(operation: Json) -> list[str]:
    """Media types that it answers with when it succeeds, where one chooses by ``Accept``; each
    once, whatever it is called."""
    if not any(parameter["name"] == "format" for parameter in operation["parameters"]):
        return ["*/*"]
    kinds: dict[str, str] = {}
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for media_type in answer.get("content", {}):
                kinds.setdefault(media_type.replace("/x-", "/").replace("wave", "wav"), media_type)
    return list(kinds.values())


def _url(path: str, operation: Json) -> Json:
    parameters = operation.get("parameters", [])
    segments = path.strip("/").replace("{", ":").replace("}", "")
    if path.endswith("/"):
        segments += "/"
    url: Json = {
        "raw": "{{base_url}}/" + segments,
        "host": ["{{base_url}}"],
        "path": segments.split("/"),
    }
    if query := [_choice(p) for p in parameters if p["in"] == "query"]:
        url["query"] = query
    if variables := [p for p in parameters if p["in"] == "path"]:
        url["variable"] = [
            {
                "key": p["name"],
                "value": FROM[path.split("/")[2], p["name"]],
                "description": p.get("description", ""),
            }
            for p in variables
        ]
    return url


def _choice(parameter: Json) -> Json:
    """Listed, and left out until somebody ticks it."""
    values = parameter["schema"].get("enum", [""])
    return {
        "key": parameter["name"],
        "value": str(values[0]),
        "description": parameter.get("description", ""),
        "disabled": True,
    }


def _bodies(schema: Mapping[str, Any], operation: Json) -> Iterator[tuple[str, Json]]:
    """What is asked → the body that asks it: one for each example of it in JSON."""
    summary, content = operation["summary"], operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        examples = content["application/json"].get("examples", {"": {"value": {}}}).values()
        for example in examples:
            name = f"{summary}: {example['summary']}" if len(examples) > 1 else summary
            yield name, _raw(example["value"])
    elif FORM in content:
        yield summary, _form(schema, content[FORM])
    else:
        yield summary, {}


def _raw(value: Any) -> Json:
    raw = json.dumps(value, indent=2, ensure_ascii=False)
    raw = raw.replace(json.dumps(RECORDING_BASE64), f'"{{{{{BASE64_VARIABLE}}}}}"')
    return {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}


def _form(schema: Mapping[str, Any], content: Json) -> Json:
    form = _resolved(schema, content["schema"])
    required = form.get("required", [])
    fields = [
        _field(name, field, needed=name in required) for name, field in form["properties"].items()
    ]
    return {"mode": "formdata", "formdata": sorted(fields, key=lambda f: f.get("disabled", False))}


def _field(name: str, field: Json, *, needed: bool) -> Json:
    described = {"key": name, "description": field.get("description", "")}
    if field.get("format") == "binary":
        return {**described, "type": "file", "src": RECORDING}
    value = field.get("default", "")
    told = str(value).lower() if isinstance(value, bool) else str(value)
    return {**described, "type": "text", "value": told, **({} if needed else {"disabled": True})}


def _resolved(schema: Mapping[str, Any], part: Json) -> Json:
    if "$ref" not in part:
        return part
    found: Json = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    return found


def _pair(key: str, value: str) -> Json:
    return {"key": key, "value": value, "type": "string"}
