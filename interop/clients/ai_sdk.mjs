// A small agent on the Vercel AI SDK, whose own loop runs the tools.
//
// In: `ai_sdk.mjs stream|whole PROMPT`, and in the environment `BASE_URL`, the gateway, and
// `SDK`, the directory that the SDK is installed in. It asks, runs the commands that the model
// calls for in the current directory, and sends their output back; after a failure it begins
// again. Out: one JSON object with `text`, `reasoning`, `calls`, and how each request ended
// (`answers`); or exit code 1 and, on stderr, what was wrong.

import { createRequire } from "node:module";

import { ANSWERS_MAX, EXEC_COMMAND, must, run, waitedOut } from "./checks.mjs";

const require = createRequire(`${process.env.SDK}/`);
const { APICallError, generateText, jsonSchema, stepCountIs, streamText, tool } = require("ai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");


const execCommand = tool({
  description: EXEC_COMMAND.description,
  inputSchema: jsonSchema(EXEC_COMMAND.parameters),
  execute: run,
});

const MODES = {
  stream: async (request) => {
    // The errors are in the stream; the SDK would print them too.
    const result = streamText({ ...request, onError: () => {} });
    let deltas = "";
    for await (const part of result.fullStream) {
      if (part.type === "error") throw part.error;
      must(part.type !== "tool-error", `a tool says ${part.error}`);
      if (part.type === "text-delta") deltas += part.text;
    }
    const steps = await result.steps;
    must(steps.map((step) => step.text).join("") === deltas, "the deltas differ from the text");
    return steps;
  },
  whole: async (request) => (await generateText(request)).steps,
};

// How a request ended that failed, once it may be asked again.
async function failed(error) {
  if (APICallError.isInstance(error)) {
    const { statusCode: status, responseHeaders: headers } = error;
    must(status === 429, `the status is ${status}: ${error.message}`);
    return waitedOut(status, headers["retry-after"]);
  }
  // An error that came in the stream is its message, or the object around that.
  const message = typeof error === "string" ? error : error?.message;
  must(message?.startsWith("Latimer: "), `the failure says ${JSON.stringify(error)}: ${error}`);
  return { status: 200, outcome: "failed" };
}

const [mode, prompt] = process.argv.slice(2);
const provider = createOpenAICompatible({
  name: "latimer",
  baseURL: process.env.BASE_URL,
  apiKey: "none",
  includeUsage: true,
});
const request = {
  model: provider("mock"),
  prompt,
  tools: { [EXEC_COMMAND.name]: execCommand },
  stopWhen: stepCountIs(ANSWERS_MAX),
  maxRetries: 0,
};
const answers = [];
let steps = [];
while (steps.length === 0 && answers.length < ANSWERS_MAX) {
  try {
    steps = await MODES[mode](request);
    answers.push(...steps.map(() => ({ status: 200, outcome: "completed" })));
  } catch (error) {
    answers.push(await failed(error));
  }
}
for (const { finishReason, toolCalls, usage } of steps) {
  const expected = toolCalls.length > 0 ? "tool-calls" : "stop";
  must(finishReason === expected, `the answer ends with ${finishReason}`);
  must(usage.totalTokens > 0, "the answer has no usage");
}
const thoughts = steps.map((step) => step.reasoningText).filter(Boolean);
console.log(
  JSON.stringify({
    text: steps.at(-1)?.text ?? null,
    calls: steps.flatMap((step) => step.toolCalls).map((call) => call.toolName),
    reasoning: thoughts.join(" "),
    answers,
  }),
);
