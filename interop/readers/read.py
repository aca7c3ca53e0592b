"""Reads what Latimer wrote of a recording, with the readers that its formats are written for, and holds
it against the recording itself. Given: the folder with all of it."""

import base64
import json
import pathlib
import sys

import duckdb
import haralyzer
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

FOLDER = pathlib.Path(sys.argv[1])
TYPES = {
    "number": "BIGINT",
    "began_at": "TIMESTAMP WITH TIME ZONE",
    "session": "VARCHAR",
    "status": "BIGINT",
    "duration_us": "BIGINT",
    "input_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "calls": "VARCHAR",
}


def lines(name):
    text = (FOLDER / name).read_text()
    return [line for line in map(json.loads, text.splitlines()) if "request" in line]


def whole(body):
    """A body as text, as every form but ours has it."""
    if body is None or isinstance(body, str):
        return body or ""
    return json.dumps(body, sort_keys=True)


def plain(text):
    """JSON as one spelling of it, anything else as it is."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text


def input_tokens(line):
    """What is noted down of a stream, or stands in an answer that came whole."""
    noted, body = line["latimer"].get("usage"), line["response"]["body"]
    if noted:
        return noted["input"]
    return body.get("usage", {}).get("input_tokens") if isinstance(body, dict) else None


def parquet(recording):
    table = duckdb.sql(f"from '{FOLDER / 'exchanges.parquet'}'")
    types = dict(zip(table.columns, map(str, table.types)))
    found = {name: types[name] for name in TYPES}
    assert found == TYPES, found
    rows = table.project("* replace (epoch_ms(began_at) as began_at)").order("number").fetchall()
    assert len(rows) == len(recording), rows
    column = {name: [row[at] for row in rows] for at, name in enumerate(table.columns)}
    statuses = [line["response"]["status_code"] for line in recording]
    assert column["status"] == statuses, column["status"]
    began = [round(line["timestamp"] * 1000) for line in recording]
    assert column["began_at"] == began, (column["began_at"], began)
    inputs = list(map(input_tokens, recording))
    assert column["input_tokens"] == inputs, (column["input_tokens"], inputs)
    assert column["calls"].count("get_weather") == 1, column["calls"]
    # The table of comma-separated values is the same table.
    csv = duckdb.read_csv(str(FOLDER / "exchanges.csv"), all_varchar=True).order("number::int")
    assert csv.columns == table.columns, csv.columns
    same = ["number", "session", "status", "input_tokens", "duration_us", "calls"]
    as_text = ", ".join(f"{name}::varchar" for name in same)
    of_csv, of_table = (
        relation.project(as_text).fetchall() for relation in (csv, table.order("number"))
    )
    assert of_csv == of_table, (of_csv, of_table)


def traces(recording):
    """In JSON, ids are hexadecimal and not base64 (OTLP, JSON Protobuf encoding)."""
    said = json.loads((FOLDER / "traces.json").read_text())
    scopes = [scope for of in said["resourceSpans"] for scope in of["scopeSpans"]]
    for span in (span for scope in scopes for span in scope["spans"]):
        for name, length in [("traceId", 16), ("spanId", 8), ("parentSpanId", 8)]:
            if name in span:
                raw = bytes.fromhex(span[name])
                assert len(raw) == length and any(raw), (name, span)
                span[name] = base64.b64encode(raw).decode()
    request = json_format.ParseDict(said, ExportTraceServiceRequest())
    spans = [
        span
        for of in request.resource_spans
        for scope in of.scope_spans
        for span in scope.spans
    ]
    known = {span.span_id for span in spans}
    assert len(known) == len(spans)
    assert all(span.parent_span_id in known for span in spans if span.parent_span_id)
    assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    operations = [
        attribute.value.string_value
        for span in spans
        for attribute in span.attributes
        if attribute.key == "gen_ai.operation.name"
    ]
    assert operations.count("chat") == len(recording), operations
    assert operations.count("execute_tool") == 1, operations
    inputs = [
        attribute.value.int_value
        for span in spans
        for attribute in span.attributes
        if attribute.key == "gen_ai.usage.input_tokens"
    ]
    used = [tokens for tokens in map(input_tokens, recording) if tokens]
    assert sorted(inputs) == sorted(used), (inputs, used)


def archive(recording):
    entries = haralyzer.HarParser.from_file(FOLDER / "session.har").har_data["entries"]
    assert len(entries) == len(recording)
    for raw, line in zip(entries, recording):
        entry = haralyzer.HarEntry(raw)
        assert entry.request.method == line["request"]["method"]
        assert entry.request.url == line["request"]["url"]
        assert plain(entry.request.text) == whole(line["request"]["body"])
        assert entry.response.status == line["response"]["status_code"]
        assert plain(entry.response.text) == whole(line["response"]["body"])
        assert entry.response.headers and entry.time >= 0
        assert abs(entry.startTime.timestamp() - line["timestamp"]) < 0.001


def flows(recording):
    """What a proxy behind us saw is what we saw."""
    theirs = lines("flows.jsonl")
    key = lambda line: (whole(line["request"]["body"]), whole(line["response"]["body"]))
    assert sorted(map(key, theirs)) == sorted(map(key, recording))
    assert {line["response"]["status_code"] for line in theirs} == {200, 429}


for reader in [parquet, traces, archive, flows]:
    reader(lines("traffic.jsonl"))
    print("read:", reader.__name__)
