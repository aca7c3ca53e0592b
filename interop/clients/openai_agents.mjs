// An agent on OpenAI's Agents SDK for Node, which runs its tools and keeps its session itself.
//
// In: `openai_agents.mjs whole|stream own|previous|conversation PROMPT [--then PROMPT]...`, and in the
// environment `BASE_URL`, the gateway, and `SDK`, the directory that the SDK is installed in. Each
// prompt is a turn of one session, which the SDK keeps in memory or the gateway keeps: by the answer
// before, or as a conversation. Out: one JSON object with `text`, the last; `reasoning`, `calls`, and
// how each request ended (`answers`); or exit code 1 and, on stderr, what went wrong.

import { createRequire } from "node:module";

import { EXEC_COMMAND, must, run } from "./checks.mjs";

const require = createRequire(`${process.env.SDK}/`);
const agents = require("@openai/agents");
const { OpenAI } = require("openai");

const [mode, keeper, first, ...options] = process.argv.slice(2);
const client = new OpenAI({
  baseURL: process.env.BASE_URL,
  apiKey: "none",
  maxRetries: 0,
  timeout: 30_000,
});
agents.setTracingDisabled(true);
const agent = new agents.Agent({
  name: "interop",
  model: new agents.OpenAIResponsesModel(client, "mock"),
  tools: [agents.tool({ ...EXEC_COMMAND, execute: run })],
});
const SESSIONS = {
  own: () => new agents.MemorySession(),
  conversation: () => new agents.OpenAIConversationsSession({ client }),
  previous: () => undefined,
};
const session = SESSIONS[keeper]();

async function turn(prompt, previousResponseId) {
  const kept = session ? { session } : { previousResponseId };
  const result = await agents.run(agent, prompt, { ...kept, stream: mode === "stream" });
  if (mode === "stream") {
    let deltas = "";
    for await (const { type, data } of result) {
      if (type !== "raw_model_stream_event") continue;
      if (data.type === "response_started") deltas = "";
      if (data.type === "output_text_delta") deltas += data.delta;
    }
    await result.completed;
    must(result.finalOutput === deltas, `the deltas ${deltas} differ from the text`);
  }
  return result;
}

const calls = [];
const answers = [];
let result;
for (const prompt of [first, ...options.filter((said) => said !== "--then")]) {
  result = await turn(prompt, result?.lastResponseId);
  const called = result.newItems.filter(({ type }) => type === "tool_call_item");
  calls.push(...called.map(({ rawItem }) => rawItem.name));
  answers.push(...result.rawResponses.map(() => ({ status: 200, outcome: "completed" })));
  const { usage } = result.runContext;
  must(usage.totalTokens > 0, "the answers have no usage");
}
console.log(JSON.stringify({ text: result.finalOutput, calls, reasoning: "", answers }));
