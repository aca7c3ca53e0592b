"""Who keeps the history of an agent on the official Python SDK, and how it is named in a request.

What the server keeps is looked at and taken away at the end; what does not hold ends the program.
"""

import openai
from checks import must


class Own:
    """The agent keeps it, and sends all of it with each request."""

    def __init__(self, client):
        self.items = []

    def say(self, items):
        self.items += items

    def request(self):
        return {"input": self.items}

    def hear(self, response):
        self.items += [item.to_dict() for item in response.output]

    def check(self, response):
        """Nothing is kept elsewhere."""


class Previous:
    """The server keeps it; a request names the answer before, and says what is new."""

    def __init__(self, client):
        self.client, self.new, self.said, self.last = client, [], [], None

    def say(self, items):
        self.new += items
        self.said = items

    def request(self):
        before = {"previous_response_id": self.last} if self.last else {}
        return {"input": self.new, **before}

    def hear(self, response):
        must(response.previous_response_id == self.last, "it follows another answer")
        self.new, self.last = [], response.id

    def check(self, response):
        """The last answer can be read, with what was said to it, until it is deleted."""
        if response is None:
            return
        kept = self.client.responses.retrieve(self.last)
        must(ids(kept.output) == ids(response.output), f"another output is kept: {kept.output}")
        must(kept.output_text == response.output_text, f"the text is kept as {kept.output_text}")
        must(kept.usage == response.usage, f"another usage is kept: {kept.usage}")
        said = [item.type for item in self.client.responses.input_items.list(self.last, order="asc")]
        must(said == [item.get("type", "message") for item in self.said], f"it was asked {said}")
        self.client.responses.delete(self.last)
        gone(lambda: self.client.responses.retrieve(self.last))


class Conversation:
    """The server keeps it under a name of its own."""

    def __init__(self, client):
        self.client, self.new, self.kept = client, [], 0
        self.id = client.conversations.create(metadata={"topic": "interop"}).id

    def say(self, items):
        self.new += items

    def request(self):
        return {"input": self.new, "conversation": self.id}

    def hear(self, response):
        must(response.conversation.id == self.id, "it belongs to another conversation")
        self.kept += len(self.new) + len(response.output)
        self.new = []

    def check(self, response):
        """All of it can be read, until it is deleted."""
        items = list(self.client.conversations.items.list(self.id, order="asc", limit=2))
        must(len(items) == self.kept, f"{len(items)} items are kept of {self.kept}")
        if response is not None:
            last = items[-len(response.output):]
            must(ids(last) == ids(response.output), "it does not end with the last answer")
        must(self.client.conversations.retrieve(self.id).metadata == {"topic": "interop"},
             "its metadata are lost")
        self.client.conversations.delete(self.id)
        gone(lambda: self.client.conversations.retrieve(self.id))


HISTORIES = {"own": Own, "previous": Previous, "conversation": Conversation}


def ids(items):
    return [item.id for item in items]


def gone(read):
    try:
        read()
    except openai.NotFoundError:
        return
    must(False, "what was deleted is still there")
