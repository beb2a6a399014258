"""The receiver's OpenAPI document, written by hand: what is taken, and every answer there is."""

from __future__ import annotations

from typing import Any

from cordboard.completion.model import MAX_STATUS, MAX_WORKFLOW_ID
from cordboard.vendors.cxone_workflows import MAX_INSTANCE_ID

_SIGNATURE = ("webhook-id", "webhook-timestamp", "webhook-signature")
_REFUSED = {
    400: "The body is no strict JSON, or the sender hung up.",
    401: "Signature or shared secret is missing, wrong, too old or too new.",
    408: "The body did not arrive within five seconds.",
    413: "The body is larger than 64 KiB.",
    415: "The body is encoded, or is not `application/json`.",
    422: "The JSON is no completion.",
    503: "It could not be stored, or there are too many connections: send it again.",
}


def openapi() -> dict[str, Any]:
    """The document that `/openapi.json` answers with."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cordboard completions", "version": "1"},
        "paths": {
            "/completions": {"post": _completions()},
            "/healthz": {
                "get": {"responses": {"200": _answer("The ledger can be read."), "503": _refusal("It cannot.")}}
            },
            "/metrics": {"get": {"responses": {"200": _metrics()}}},
            "/openapi.json": {"get": {"responses": {"200": _document()}}},
        },
        "components": {
            "schemas": {"Completion": _completion(), "Answer": _object("status"), "Refusal": _object("error")}
        },
    }


def _completions() -> dict[str, Any]:
    named = [*_SIGNATURE, "x-cordboard-secret"]
    headers = [{"name": name, "in": "header", "required": False, "schema": {"type": "string"}} for name in named]
    schema = {"$ref": "#/components/schemas/Completion"}
    refused = {str(status): _refusal(meaning) for status, meaning in _REFUSED.items()}
    return {
        "summary": "Reports the end of a workflow instance",
        "parameters": headers,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"202": _answer("Stored."), "200": _answer("It had been stored before."), **refused},
    }


def _metrics() -> dict[str, Any]:
    return {"description": "Numbers for Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}}


def _document() -> dict[str, Any]:
    return {"description": "This document.", "content": {"application/json": {"schema": {"type": "object"}}}}


def _completion() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["instanceId", "workflowId", "status"],
        "properties": {
            "instanceId": _text(MAX_INSTANCE_ID),
            "workflowId": _text(MAX_WORKFLOW_ID),
            "status": _text(MAX_STATUS),
            "context": {"type": ["object", "null"]},
        },
        "additionalProperties": True,
    }


def _text(most: int) -> dict[str, Any]:
    """Printable; the pattern names no more of that than every dialect of regular expressions can say."""
    controls = r"^[^\x00-\x1f\x7f-\x9f]+$"
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": controls, "description": "Printable."}


def _object(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "string"}},
        "additionalProperties": False,
    }


def _answer(meaning: str) -> dict[str, Any]:
    return {
        "description": meaning,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
    }


def _refusal(meaning: str) -> dict[str, Any]:
    return {
        "description": meaning,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
    }
