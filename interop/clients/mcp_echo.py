"""A tool server in the Model Context Protocol, over stdio, with the standard library alone.

In: JSON-RPC requests, a line each: `initialize`, `tools/list`, `tools/call`. Out: an answer each.
Its one tool, `echo`, says back what it is told, after words that only this server knows: who reads
them has really called it.
"""

import json
import sys

ECHO = {
    "name": "echo",
    "description": "Says back what it is told.",
    "inputSchema": {
        "type": "object",
        "properties": {"text": {"type": "string", "description": "What to say back."}},
        "required": ["text"],
        "additionalProperties": False,
    },
}


def initialize(parameters):
    return {"protocolVersion": parameters.get("protocolVersion", "2025-06-18"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "echo", "version": "1.0.0"}}


def tools(_parameters):
    return {"tools": [ECHO]}


def call(parameters):
    text = f"the server heard: {parameters['arguments']['text']}"
    return {"content": [{"type": "text", "text": text}], "isError": False}


METHODS = {"initialize": initialize, "tools/list": tools, "tools/call": call,
           "ping": lambda _parameters: {}}


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        method = METHODS.get(message.get("method"))
        if method is None:
            answer["error"] = {"code": -32601, "message": "no such method"}
        else:
            answer["result"] = method(message.get("params") or {})
        print(json.dumps(answer), flush=True)


main()
