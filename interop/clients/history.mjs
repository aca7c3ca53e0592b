// Who keeps the history of an agent on the official Node SDK, and how it is named in a request.
//
// What the server keeps is looked at and taken away at the end; what does not hold ends the program.

import { isDeepStrictEqual } from "node:util";

import { must } from "./checks.mjs";

// The agent keeps it, and sends all of it with each request.
class Own {
  items = [];

  async begin() {}

  say(items) {
    this.items.push(...items);
  }

  request() {
    return { input: this.items };
  }

  hear(response) {
    this.items.push(...response.output);
  }

  async check() {}
}

// The server keeps it; a request names the answer before, and says what is new.
class Previous {
  fresh = [];
  said = [];
  last = null;

  constructor({ responses }) {
    this.responses = responses;
  }

  async begin() {}

  say(items) {
    this.fresh.push(...items);
    this.said = items;
  }

  request() {
    return { input: this.fresh, ...(this.last && { previous_response_id: this.last }) };
  }

  hear({ id, previous_response_id: before }) {
    must(before === this.last, "it follows another answer");
    this.fresh = [];
    this.last = id;
  }

  // The last answer can be read, with what was said to it, until it is deleted.
  async check(response, errors) {
    if (!response) return;
    const kept = await this.responses.retrieve(this.last);
    must(isDeepStrictEqual(kept.output, response.output), "another output is kept");
    must(isDeepStrictEqual(kept.usage, response.usage), "another usage is kept");
    const items = await all(this.responses.inputItems.list(this.last, { order: "asc" }));
    const types = (of) => of.map(({ type = "message" }) => type);
    must(isDeepStrictEqual(types(items), types(this.said)), `it was asked ${types(items)}`);
    await this.responses.delete(this.last);
    await gone(() => this.responses.retrieve(this.last), errors);
  }
}

// The server keeps it under a name of its own.
class Conversation {
  fresh = [];
  kept = 0;

  constructor({ conversations }) {
    this.conversations = conversations;
  }

  async begin() {
    const { id } = await this.conversations.create({ metadata: { topic: "interop" } });
    this.id = id;
  }

  say(items) {
    this.fresh.push(...items);
  }

  request() {
    return { input: this.fresh, conversation: this.id };
  }

  hear({ conversation, output }) {
    must(conversation.id === this.id, "it belongs to another conversation");
    this.kept += this.fresh.length + output.length;
    this.fresh = [];
  }

  // All of it can be read, until it is deleted.
  async check(response, errors) {
    const pages = this.conversations.items.list(this.id, { order: "asc", limit: 2 });
    const ids = (await all(pages)).map(({ id }) => id);
    must(ids.length === this.kept, `${ids.length} items are kept of ${this.kept}`);
    if (response) {
      const last = response.output.map(({ id }) => id);
      must(isDeepStrictEqual(ids.slice(-last.length), last), "it ends with another answer");
    }
    const { metadata } = await this.conversations.retrieve(this.id);
    must(isDeepStrictEqual(metadata, { topic: "interop" }), "its metadata are lost");
    await this.conversations.delete(this.id);
    await gone(() => this.conversations.retrieve(this.id), errors);
  }
}

export const HISTORIES = { own: Own, previous: Previous, conversation: Conversation };

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function gone(read, { NotFoundError }) {
  const error = await read().then(
    () => undefined,
    (error) => error,
  );
  must(error instanceof NotFoundError, "what was deleted is still there");
}
