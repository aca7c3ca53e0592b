"""A small agent on the official Python SDK, which holds every event and every answer against it.

In: `agent.py create|helper|whole|poll|resume|socket own|previous|conversation PROMPT [--structured]
[--leave] [--picture]`, and in the environment `BASE_URL`, the gateway. It asks, runs the commands
that the model calls for in the current directory, sends their output back, and asks again after a
failure; the history it sends itself, or the gateway keeps it. With `poll` and `resume` the answer is
made in the background: it is asked for until it is there, or its stream is left and taken up again.
With `socket` all is said over one WebSocket.
If it is told to, it asks for an answer that follows a schema, shows a picture, or leaves the first
answer in the middle. Out: one JSON object with `text`, `reasoning`, `calls`, and how each request ended (`answers`); or
exit code 1 and, on stderr, what in an answer was wrong.
"""

import json
import os
import sys
import time
from typing import get_args

import httpx2
import openai
from checks import (
    EXEC_COMMAND,
    LEFT,
    PICTURE,
    WEATHER,
    Tap,
    Weather,
    must,
    refused,
    run,
    validate,
)
from history import HISTORIES
from openai.types.responses import (
    Response,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseStreamEvent,
)

ANSWERS_MAX = 6
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
UNFINISHED = {"queued", "in_progress"}
POLL_S = 0.02


def validate_body(tap, streamed):
    """One answer as it came over the wire: the SDK mends wrong types before it shows an event."""
    if not streamed:
        validate(Response, json.loads(tap.body), "response", BEYOND_THE_SDK)
        return
    for data in tap.data():
        raw = json.loads(data)
        must(raw["type"] in EVENTS, f"the SDK does not know the event {raw['type']}")
        validate(EVENTS[raw["type"]], raw, raw["type"], BEYOND_THE_SDK)


class Watch:
    """What one stream says, held against what a stream has to be."""

    def __init__(self):
        self.next, self.done, self.deltas, self.last, self.id = 0, [], "", None, None

    def see(self, event):
        must(event.sequence_number == self.next,
             f"{event.type} has sequence number {event.sequence_number}, not {self.next}")
        must(self.last is None or self.last.type not in TERMINAL, f"{event.type} after the end")
        must(self.next > 0 or event.type == "response.created", f"{event.type} comes first")
        self.next += 1
        self.last = event
        if event.type == "response.created":
            self.id = event.response.id
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


def plain(request):
    """The request without what only the SDK's helpers know."""
    others = {name: value for name, value in request.items() if name != "text_format"}
    if others != request:
        others["text"] = {"format": {"type": "json_schema", **WEATHER}}
    return others


def create(client, request):
    watch = Watch()
    for event in client.responses.create(stream=True, **plain(request)):
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
    return parsed(response, request)


def parsed(response, request):
    """The same, if it has been read as what was asked for."""
    if "text_format" in request:
        wanted = Weather.model_validate_json(response.output_text)
        must(response.output_parsed == wanted, f"it was read as {response.output_parsed}")
    return response


def whole(client, request):
    if "text_format" in request:
        return parsed(client.responses.parse(**request), request)
    return client.responses.create(**request)


def poll(client, request):
    """An answer that is made in the background, asked for until it is there."""
    response = client.responses.create(background=True, **plain(request))
    must(response.status in UNFINISHED, f"it begins as {response.status}")
    while response.status in UNFINISHED:
        time.sleep(POLL_S)
        response = client.responses.retrieve(response.id)
    return response


def resume(client, request):
    """The same, whose stream is left after its first text and taken up again."""
    watch = Watch()
    with client.responses.create(background=True, stream=True, **plain(request)) as begun:
        for event in begun:
            watch.see(event)
            if event.type == "response.output_text.delta":
                break
    if watch.last.type in TERMINAL:
        return watch.response()
    after = client.responses.retrieve(watch.id, stream=True, starting_after=watch.next - 1)
    for event in after:
        watch.see(event)
    return watch.response()


SOCKETS = []


def socket(client, request):
    """Over a WebSocket, which is kept from request to request."""
    if not SOCKETS:
        SOCKETS.append(client.responses.connect().enter())
    [connection] = SOCKETS
    connection.response.create(**plain(request))
    watch = Watch()
    while watch.last is None or watch.last.type not in TERMINAL:
        data = connection.recv_bytes()
        raw = json.loads(data)
        must(raw["type"] in EVENTS, f"the SDK does not know the event {raw['type']}")
        validate(EVENTS[raw["type"]], raw, raw["type"], BEYOND_THE_SDK)
        watch.see(connection.parse_event(data))
    return watch.response()


def leave(mode, client, request):
    """Reads a stream up to its first text."""
    asked = client.responses
    begun = asked.stream(**request) if mode is helper else asked.create(stream=True, **request)
    with begun as stream:
        next(event for event in stream if event.type == "response.output_text.delta")


def ask(mode, client, tap, request):
    """One request: the answer, if it is complete, and how it ended."""
    try:
        response = mode(client, request)
    except openai.APIError as error:
        return None, refused(error)
    if mode is not socket:
        validate_body(tap, streamed=mode not in WHOLE)
    answer = {"status": 200, "outcome": response.status}
    if response.status != "completed":
        must(response.error is not None or response.status != "failed", "failed without an error")
        return None, {**answer, "error": response.error and response.error.to_dict()}
    must(response.usage is not None, "the answer has no usage")
    return response, answer


MODES = {"create": create, "helper": helper, "whole": whole, "poll": poll, "resume": resume,
         "socket": socket}
WHOLE = {whole, poll}


def output(call):
    printed = run(call.name, call.arguments)
    return {"type": "function_call_output", "call_id": call.call_id, "output": printed}


def main():
    mode = MODES[sys.argv[1]]
    tap = Tap()
    client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="none", max_retries=0,
                           timeout=30, http_client=httpx2.Client(transport=tap))
    history = HISTORIES[sys.argv[2]](client)
    options = sys.argv[4:]
    asked = [{"type": "input_text", "text": sys.argv[3]}]
    if "--picture" in options:
        asked.append({"type": "input_image", "image_url": PICTURE, "detail": "auto"})
    history.say([{"role": "user", "content": asked}])
    calls, reasoning, answers = [], [], []
    while len(answers) < ANSWERS_MAX:
        request = {"model": "mock", "tools": [{"type": "function", **EXEC_COMMAND}],
                   **history.request()}
        if "--structured" in options:
            request["text_format"] = Weather
        if "--leave" in options and not answers:
            leave(mode, client, request)
            answers.append(LEFT)
            continue
        response, answer = ask(mode, client, tap, request)
        answers.append(answer)
        if response is None:
            continue
        history.hear(response)
        for item in response.output:
            if item.type == "reasoning":
                reasoning += [part.text for part in item.summary]
        called = [item for item in response.output if item.type == "function_call"]
        if not called:
            break
        calls += [call.name for call in called]
        history.say([output(call) for call in called])
    for connection in SOCKETS:
        connection.close()
    history.check(response)
    print(json.dumps({"text": response.output_text if response else None, "calls": calls,
                      "reasoning": " ".join(reasoning), "answers": answers}))


main()
