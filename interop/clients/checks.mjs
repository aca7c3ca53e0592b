// What the agents on Node SDKs share: the tool they offer, what it does, and how they wait.
//
// It sends nothing and prints nothing; what does not hold ends the program, with the reason on stderr.

import { spawnSync } from "node:child_process";
import { basename } from "node:path";

export const ANSWERS_MAX = 6;
const COMMAND_TIMEOUT_MS = 20_000;
// The one tool that is offered, without what a dialect puts around it.
export const EXEC_COMMAND = {
  name: "exec_command",
  description: "Runs a shell command and returns what it prints.",
  strict: true,
  parameters: {
    type: "object",
    properties: { cmd: { type: "string" } },
    required: ["cmd"],
    additionalProperties: false,
  },
};

export function must(holds, what) {
  if (holds) return;
  console.error(`${basename(process.argv[1])}: ${what}`);
  process.exit(1);
}

// What the command that the model calls for prints.
export function run({ cmd }) {
  const options = { encoding: "utf8", timeout: COMMAND_TIMEOUT_MS };
  return spawnSync("sh", ["-c", cmd], options).stdout;
}

// Waits as long as a 429 says, and tells how the request ended.
export async function waitedOut(status, retryAfter) {
  await new Promise((resolve) => setTimeout(resolve, 1000 * Number(retryAfter ?? 0)));
  return { status, outcome: "failed", retry_after: retryAfter };
}
