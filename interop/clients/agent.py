"""A small agent on the official Python SDK, which holds every event and every answer against it.

In: `agent.py create|helper|whole PROMPT`, and in the environment `BASE_URL`, the gateway. It asks,
runs the commands that the model calls for in the current directory, sends their output back, and
asks again after a failure. Out: one JSON object with `text`, `reasoning`, `calls`, and how each
request ended (`answers`); or exit code 1 and, on stderr, what in an answer was wrong.
"""

import json
import os
import subprocess
import sys
import time
from typing import get_args

import httpx2
import openai
from openai.types.responses import (
    Response,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseStreamEvent,
)
from pydantic import BaseModel, ValidationError

ANSWERS_MAX = 6
ERRORS_MAX = 5
COMMAND_TIMEOUT_S = 20
# Members that the API sends and this version of the SDK leaves out of its types.
BEYOND_THE_SDK = {
    Response: {"store", "frequency_penalty", "presence_penalty"},
    ResponseFunctionCallArgumentsDoneEvent: {"name"},  # earlier versions require it
}
# The class of each kind of event, from the SDK's own union.
EVENTS = {
    kind: model
    for model in get_args(get_args(ResponseStreamEvent)[0])
    for kind in get_args(model.model_fields["type"].annotation)
}
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
EXEC_COMMAND = {
    "type": "function",
    "name": "exec_command",
    "description": "Runs a shell command and returns what it prints.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"cmd": {"type": "string"}},
        "required": ["cmd"],
        "additionalProperties": False,
    },
}


def must(holds, what):
    if not holds:
        sys.exit(f"agent.py: {what}")


def unknown_members(value, at):
    """The members that the SDK's types do not declare, as paths."""
    if isinstance(value, BaseModel):
        for name in (value.model_extra or {}).keys() - BEYOND_THE_SDK.get(type(value), set()):
            yield f"{at}.{name}"
        for name in type(value).model_fields:
            yield from unknown_members(getattr(value, name), f"{at}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_members(item, f"{at}[{index}]")


def validate(model, raw, what):
    """What the SDK takes unchecked, checked: all there, of the right type, and nothing unknown."""
    try:
        value = model.model_validate(raw, strict=True)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        sys.exit(f"agent.py: {what} is not what the SDK declares: {'; '.join(wrong[:ERRORS_MAX])}")
    unknown = list(unknown_members(value, what))
    must(not unknown, f"the SDK does not know {unknown}")


def validate_body(body, streamed):
    """One answer as it came over the wire: the SDK mends wrong types before it shows an event."""
    if not streamed:
        validate(Response, json.loads(body), "response")
        return
    lines = [line for line in body.decode().splitlines() if line.startswith("data: ")]
    must(lines, "nothing came over the wire")
    for line in lines:
        raw = json.loads(line.removeprefix("data: "))
        must(raw["type"] in EVENTS, f"the SDK does not know the event {raw['type']}")
        validate(EVENTS[raw["type"]], raw, raw["type"])


class Tap(httpx2.HTTPTransport):
    """The SDK's transport, which keeps a copy of the bytes of the last answer."""

    def __init__(self):
        super().__init__()
        self.body = b""

    def handle_request(self, request):
        response = super().handle_request(request)
        response.stream = TappedStream(self, response.stream)
        return response


class TappedStream(httpx2.SyncByteStream):
    def __init__(self, tap, stream):
        self.tap, self.stream = tap, stream
        tap.body = b""

    def __iter__(self):
        for piece in self.stream:
            self.tap.body += piece
            yield piece

    def close(self):
        self.stream.close()


class Watch:
    """What one stream says, held against what a stream has to be."""

    def __init__(self):
        self.next, self.done, self.deltas, self.last = 0, [], "", None

    def see(self, event):
        must(event.sequence_number == self.next,
             f"{event.type} has sequence number {event.sequence_number}, not {self.next}")
        must(self.last is None or self.last.type not in TERMINAL, f"{event.type} after the end")
        must(self.next > 0 or event.type == "response.created", f"{event.type} comes first")
        self.next += 1
        self.last = event
        if event.type == "response.output_item.done":
            self.done.append(event.item.to_dict())
        if event.type == "response.output_text.delta":
            self.deltas += event.delta

    def response(self):
        """The answer the stream ended with, which has to be what it said on the way."""
        must(self.last is not None and self.last.type in TERMINAL, "the stream has no end")
        response = self.last.response
        if response.status == "completed":
            items = [item.to_dict() for item in response.output]
            must(items == self.done, f"the items at the end differ: {items} from {self.done}")
            must(response.output_text == self.deltas, "the deltas differ from the text")
        return response


def create(client, request):
    watch = Watch()
    for event in client.responses.create(stream=True, **request):
        watch.see(event)
    return watch.response()


def helper(client, request):
    watch = Watch()
    with client.responses.stream(**request) as stream:
        for event in stream:
            watch.see(event)
        last = watch.last
        must(last is not None and last.type in TERMINAL, "the stream has no end")
        if last.type != "response.completed":
            return last.response
        response = stream.get_final_response()
    must(response.output_text == watch.deltas, "the deltas differ from the text")
    return response


def whole(client, request):
    return client.responses.create(**request)


def ask(mode, client, tap, request):
    """One request: the answer, if it is complete, and how it ended."""
    try:
        response = mode(client, request)
    except openai.RateLimitError as error:
        retry_after = error.response.headers.get("retry-after")
        time.sleep(float(retry_after or 0))
        return None, {"status": error.status_code, "outcome": "failed", "retry_after": retry_after}
    validate_body(tap.body, streamed=mode is not whole)
    answer = {"status": 200, "outcome": response.status}
    if response.status != "completed":
        must(response.error is not None or response.status != "failed", "failed without an error")
        return None, answer
    must(response.usage is not None, "the answer has no usage")
    return response, answer


def run(call):
    must(call.name == "exec_command", f"the model calls {call.name}")
    done = subprocess.run(["sh", "-c", json.loads(call.arguments)["cmd"]], capture_output=True,
                          text=True, timeout=COMMAND_TIMEOUT_S)
    return {"type": "function_call_output", "call_id": call.call_id, "output": done.stdout}


def main():
    mode = {"create": create, "helper": helper, "whole": whole}[sys.argv[1]]
    tap = Tap()
    client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="none", max_retries=0,
                           timeout=30, http_client=httpx2.Client(transport=tap))
    items = [{"role": "user", "content": sys.argv[2]}]
    calls, reasoning, answers = [], [], []
    while len(answers) < ANSWERS_MAX:
        request = {"model": "mock", "input": items, "tools": [EXEC_COMMAND]}
        response, answer = ask(mode, client, tap, request)
        answers.append(answer)
        if response is None:
            continue
        items += [item.to_dict() for item in response.output]
        for item in response.output:
            if item.type == "reasoning":
                reasoning += [part.text for part in item.summary]
        called = [item for item in response.output if item.type == "function_call"]
        if not called:
            break
        calls += [call.name for call in called]
        items += [run(call) for call in called]
    print(json.dumps({"text": response.output_text if response else None, "calls": calls,
                      "reasoning": " ".join(reasoning), "answers": answers}))


main()
