"""Holds answers of the server against the response schemas that tempest ships, with tempest's own validator.

Standard input: one JSON object a line, {"schema": module, "call": name, "version": "3.N", "status": ..., "body": ...}.
Standard output: one JSON event for each schema.call (see run-tempest.py).
"""
import importlib
import json
import sys

from tempest.lib.common import rest_client
from tempest.lib.services.volume import v3 as clients

SCHEMAS = "tempest.lib.api_schema.response.volume."
CLIENTS = {"backups": clients.BackupsClient, "services": clients.ServicesClient, "volumes": clients.VolumesClient}


def number(version):
    return int(version.split(".")[1])


def schema_for(schema, call, version):
    """As tempest chooses it: by the range of versions that the client names; what did not change is in the first."""
    first = importlib.import_module(SCHEMAS + schema)
    return getattr(module_for(schema, version, first), call, None) or getattr(first, call)


def module_for(schema, version, first):
    for entry in getattr(CLIENTS.get(schema), "schema_versions_info", []):
        low = 0 if entry["min"] is None else number(entry["min"])
        high = 1000 if entry["max"] is None else number(entry["max"])
        if low <= number(version) <= high:
            return entry["schema"]
    return first


def complaint(answer):
    wanted = schema_for(answer["schema"], answer["call"], answer["version"])
    if answer["status"] not in wanted["status_code"]:
        return f"status {answer['status']}, not {wanted['status_code']}: {answer['body']}"
    if "response_body" not in wanted:
        return f"a body: {answer['body']}" if answer["body"] else None
    errors = rest_client.JSONSCHEMA_VALIDATOR(
        wanted["response_body"], format_checker=rest_client.FORMAT_CHECKER
    ).iter_errors(answer["body"])
    texts = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]
    return "; ".join(texts) or None


def main():
    found = {}
    for line in sys.stdin:
        answer = json.loads(line)
        texts = found.setdefault(f"{answer['schema']}.{answer['call']}", [])
        text = complaint(answer)
        if text:
            texts.append(f"{answer['version']}: {text[:600]}")
    for name, texts in sorted(found.items()):
        print(json.dumps({"event": "failed" if texts else "passed", "id": name, "detail": "\n".join(texts[:5])}))


main()
