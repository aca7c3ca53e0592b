"""What the agents on Python SDKs share: the tool they offer, and how hard they look at an answer.

It sends nothing and prints nothing; what does not hold ends the program, with the reason on stderr.
"""

import itertools
import json
import os
import subprocess
import sys
import time

import httpx2
import openai
from pydantic import BaseModel, ValidationError

ERRORS_MAX = 5
COMMAND_TIMEOUT_S = 20
# The one tool that is offered, without what a dialect puts around it.
EXEC_COMMAND = {
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




class Weather(BaseModel):
    """What an answer is to be that follows a schema."""

    city: str
    celsius: int
    notes: list[str]


WEATHER = {"name": "Weather", "strict": True,
           "schema": {**Weather.model_json_schema(), "additionalProperties": False}}
# A picture of one pixel.
PICTURE = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
           "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
# How a request ends whose answer the client leaves.
LEFT = {"status": 200, "outcome": "cancelled"}


def must(holds, what):
    if not holds:
        sys.exit(f"{sys.argv[0]}: {what}")


def run(name, arguments):
    """What the command that the model calls for prints."""
    must(name == EXEC_COMMAND["name"], f"the model calls {name}")
    return run_command(json.loads(arguments)["cmd"])


def run_command(cmd):
    return subprocess.run(["sh", "-c", cmd], capture_output=True, text=True,
                          timeout=COMMAND_TIMEOUT_S).stdout


def refused(error):
    """How a request ended that the SDK has raised an error for, once it may be asked again."""
    must(error.body, f"the error says nothing: {error!r}")
    failed = {"outcome": "failed", "error": {"code": error.code, "message": error.body["message"]}}
    if type(error) is openai.APIError:
        # It came in the stream.
        return {"status": 200, **failed}
    must(type(error) is not openai.APIStatusError, f"the SDK has no class for it: {error!r}")
    retry_after = error.response.headers.get("retry-after")
    time.sleep(float(retry_after or 0))
    return {"status": error.status_code, "retry_after": retry_after, **failed}


def unknown_members(value, at, beyond):
    """The members that the SDK's types do not declare, as paths, but for those `beyond` them."""
    if isinstance(value, BaseModel):
        for name in (value.model_extra or {}).keys() - beyond.get(type(value), set()):
            yield f"{at}.{name}"
        for name in type(value).model_fields:
            yield from unknown_members(getattr(value, name), f"{at}.{name}", beyond)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_members(item, f"{at}[{index}]", beyond)


def validate(model, raw, what, beyond):
    """What the SDK takes unchecked, checked: all there, of the right type, and nothing unknown."""
    try:
        value = model.model_validate(raw, strict=True)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        must(False, f"{what} is not what the SDK declares: {'; '.join(wrong[:ERRORS_MAX])}")
    unknown = list(unknown_members(value, what, beyond))
    must(not unknown, f"the SDK does not know {unknown}")


class Tap(httpx2.HTTPTransport):
    """The SDK's transport, which keeps a copy of the bytes of the last answer.

    Where there is another gateway (`OTHER_URL`), it sends each request to the one that had not the
    request before.
    """

    def __init__(self):
        super().__init__()
        self.body = b""
        gateways = [os.environ.get(name) for name in ("BASE_URL", "OTHER_URL")]
        self.gateways = itertools.cycle([httpx2.URL(url) for url in gateways if url])

    def handle_request(self, request):
        gateway = next(self.gateways)
        request.url = request.url.copy_with(host=gateway.host, port=gateway.port)
        response = super().handle_request(request)
        response.stream = TappedStream(self, response.stream)
        return response

    def data(self):
        """The data of each event of the last answer."""
        lines = self.body.decode().splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        must(data, "nothing came over the wire")
        return data


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
