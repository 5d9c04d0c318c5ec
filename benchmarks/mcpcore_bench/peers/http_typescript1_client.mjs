// The HTTP client of the official TypeScript SDK, version 1. Takes the same arguments and prints the same line of JSON as
// mcpcore_bench/measuring.py does for the Python clients.

import { parseArgs } from "node:util";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const MOST_CALLS = 50_000;
const option = { type: "string" };
const { values, positionals } = parseArgs({
  options: { era: option, window: option, seconds: option, "warm-seconds": option, "warm-calls": option },
  allowPositionals: true,
});
const window = Number(values.window);

const client = new Client({ name: "bench", version: "0" });
await client.connect(new StreamableHTTPClientTransport(new URL(positionals[0])));

async function drive(calls) {
  let left = calls;
  let wrong = 0;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const result = await client.callTool({ name: "echo", arguments: { text: "hello" } });
      if (result.content[0].text !== "hello") wrong += 1;
    }
  };
  await Promise.all(Array.from({ length: window }, worker));
  return wrong;
}

async function warm() {
  let spent = 0;
  let calls = 0;
  for (let count = Math.max(16, window), parts = 1; ; count = Math.min(2 * count, 2048), parts += 1) {
    const start = performance.now();
    await drive(count);
    const part = (performance.now() - start) / 1000;
    spent += part;
    calls += count;
    const enough = spent >= Number(values["warm-seconds"]) && calls >= Number(values["warm-calls"]);
    if (enough && parts >= 3) return count / part;
  }
}

const rate = await warm();
const calls = Math.floor(Math.min(MOST_CALLS, Math.max(rate * Number(values.seconds), 2 * window, 50)));
const before = process.cpuUsage();
const start = performance.now();
const wrong = await drive(calls);
const wall_ns = Math.round((performance.now() - start) * 1e6);
const used = process.cpuUsage(before);
const cpu_ns = (used.user + used.system) * 1000;
console.log(JSON.stringify({ calls, wrong, wall_ns, cpu_ns, latencies: [] }));
await client.close();
process.exit(0);
