"""A small agent on the official Python SDK's Chat Completions, which holds every chunk against it.

In: `chat.py create|helper|whole PROMPT [--structured] [--leave] [--picture] [--stop]`, and in the
environment `BASE_URL`, the gateway. It asks, runs the commands that the model calls for in the
current directory, sends their output back, and asks again after a failure. If it is told to, it
asks for an answer that follows a schema or that stops before `###`, shows a picture, or leaves the
first answer in the middle. Out: one JSON object with `text`, `reasoning`, `calls`, and how each
request ended (`answers`); or exit code 1 and, on stderr, what in an answer was wrong.
"""

import json
import os
import sys

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
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion_chunk import ChoiceDelta

ANSWERS_MAX = 6
# What backends with reasoning send, and the SDK leaves out of its types.
BEYOND_THE_SDK = {
    ChoiceDelta: {"reasoning_content"},
    ChatCompletionMessage: {"reasoning_content"},
}
TOOLS = [{"type": "function", "function": EXEC_COMMAND}]
STREAM = {"stream_options": {"include_usage": True}}


def validate_body(tap, streamed):
    """One answer as it came over the wire: the SDK mends wrong types before it shows a chunk."""
    if not streamed:
        validate(ChatCompletion, json.loads(tap.body), "completion", BEYOND_THE_SDK)
        return
    *chunks, last = tap.data()
    must(last == "[DONE]", f"the stream ends with {last}")
    for chunk in chunks:
        validate(ChatCompletionChunk, json.loads(chunk), "chunk", BEYOND_THE_SDK)


class Watch:
    """What one stream says, held against what a stream has to be."""

    def __init__(self):
        self.id, self.finish, self.usage = None, None, None
        self.role, self.content, self.reasoning, self.calls = None, "", "", []

    def see(self, chunk):
        must(self.id in (None, chunk.id), f"the id changes from {self.id} to {chunk.id}")
        must(self.usage is None, "a chunk after the one with the usage")
        self.id, self.usage = chunk.id, chunk.usage
        must(bool(chunk.choices) == (chunk.usage is None), "the usage has no chunk of its own")
        for choice in chunk.choices:
            must(choice.index == 0, f"nobody asked for choice {choice.index}")
            must(self.finish is None, "a choice goes on after its end")
            self.finish = choice.finish_reason
            self.see_delta(choice.delta)

    def see_delta(self, delta):
        must(self.role or delta.role == "assistant", "the first delta names no role")
        self.role = self.role or delta.role
        self.content += delta.content or ""
        self.reasoning += getattr(delta, "reasoning_content", None) or ""
        for call in delta.tool_calls or []:
            if call.index == len(self.calls):
                must(call.id and call.type == "function" and call.function.name,
                     "a call begins without its id, type or name")
                self.calls.append({"id": call.id, "type": "function",
                                   "function": {"name": call.function.name, "arguments": ""}})
            must(call.index < len(self.calls), f"call {call.index} comes too early")
            must(call.id in (None, self.calls[call.index]["id"]), "a call changes its id")
            self.calls[call.index]["function"]["arguments"] += call.function.arguments or ""

    def completion(self):
        """The answer that the stream told, as the SDK would have it whole."""
        must(self.finish is not None, "the stream ends without an error and without an end")
        message = {"role": self.role, "content": self.content or None}
        message |= {"reasoning_content": self.reasoning} if self.reasoning else {}
        message |= {"tool_calls": self.calls} if self.calls else {}
        choice = {"index": 0, "finish_reason": self.finish, "message": message}
        return ChatCompletion.construct(id=self.id, choices=[choice], usage=self.usage)


def create(client, request):
    watch = Watch()
    if "response_format" in request:
        request |= {"response_format": {"type": "json_schema", "json_schema": WEATHER}}
    for chunk in client.chat.completions.create(stream=True, **STREAM, **request):
        watch.see(chunk)
    return watch.completion()


def helper(client, request):
    watch = Watch()
    with client.chat.completions.stream(**STREAM, **request) as stream:
        for event in stream:
            if event.type == "chunk":
                watch.see(event.chunk)
        told = watch.completion()
        completion = stream.get_final_completion()
    ours, theirs = told.choices[0].message, completion.choices[0].message
    # Before calls alone a backend says no text, or an empty one.
    must((theirs.content or None) == ours.content, f"the helper has the text {theirs.content!r}")
    ids = [[call.id for call in one.tool_calls or []] for one in (ours, theirs)]
    must(ids[0] == ids[1], f"the helper has the calls {ids[1]}, not {ids[0]}")
    return parsed(completion, request)


def parsed(completion, request):
    """The same, if it has been read as what was asked for."""
    if "response_format" in request:
        message = completion.choices[0].message
        wanted = Weather.model_validate_json(message.content)
        must(message.parsed == wanted, f"{message.content} was read as {message.parsed}")
    return completion


def whole(client, request):
    if "response_format" in request:
        return parsed(client.chat.completions.parse(**request), request)
    return client.chat.completions.create(**request)


def leave(mode, client, request):
    """Reads a stream up to its first text."""
    if mode is helper:
        with client.chat.completions.stream(**request) as stream:
            next(event for event in stream if event.type == "content.delta")
    else:
        with client.chat.completions.create(stream=True, **request) as stream:
            next(chunk for chunk in stream if chunk.choices[0].delta.content)


def ask(mode, client, tap, request):
    """One request: the answer, if it is complete, and how it ended."""
    try:
        completion = mode(client, request)
    except openai.APIError as error:
        return None, refused(error)
    validate_body(tap, streamed=mode is not whole)
    must(len(completion.choices) == 1, f"there are {len(completion.choices)} choices")
    choice = completion.choices[0]
    finish = "tool_calls" if choice.message.tool_calls else "stop"
    must(choice.finish_reason == finish, f"the answer ends with {choice.finish_reason}")
    # Latimer leaves a backend that says more than it should before that has told the usage.
    must(completion.usage is not None or "stop" in request, "the answer has no usage")
    return choice.message, {"status": 200, "outcome": "completed"}


def output(call):
    printed = run(call.function.name, call.function.arguments)
    return {"role": "tool", "tool_call_id": call.id, "content": printed}


def main():
    mode = {"create": create, "helper": helper, "whole": whole}[sys.argv[1]]
    tap = Tap()
    client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="none", max_retries=0,
                           timeout=30, http_client=httpx2.Client(transport=tap))
    options = sys.argv[3:]
    asked = [{"type": "text", "text": sys.argv[2]}]
    if "--picture" in options:
        asked.append({"type": "image_url", "image_url": {"url": PICTURE}})
    messages = [{"role": "user", "content": asked}]
    calls, reasoning, answers, message = [], [], [], None
    while len(answers) < ANSWERS_MAX:
        request = {"model": "mock", "messages": messages, "tools": TOOLS}
        if "--structured" in options:
            request["response_format"] = Weather
        if "--stop" in options:
            request["stop"] = "###"
        if "--leave" in options and not answers:
            leave(mode, client, request)
            answers.append(LEFT)
            continue
        message, answer = ask(mode, client, tap, request)
        answers.append(answer)
        if message is None:
            continue
        messages.append(message)
        thought = getattr(message, "reasoning_content", None)
        reasoning += [thought] if thought else []
        called = message.tool_calls or []
        if not called:
            break
        calls += [call.function.name for call in called]
        messages += [output(call) for call in called]
    print(json.dumps({"text": message.content if message else None, "calls": calls,
                      "reasoning": " ".join(reasoning), "answers": answers}))


main()
