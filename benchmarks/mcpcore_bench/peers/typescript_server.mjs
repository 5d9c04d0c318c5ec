// The benchmark's stdio server on the official TypeScript SDK, version 2.

import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";

const LINE = "The quick brown fox jumps over the lazy dog, 0123456789.\n";
const BIG = LINE.repeat(Math.ceil(65536 / LINE.length)).slice(0, 65536);

const reply = (text) => ({ content: [{ type: "text", text }] });
const textOnly = z.object({ text: z.string() });
const filler = z.object({ text: z.string(), count: z.number().int().default(1) });

function build() {
  const server = new McpServer({ name: "bench", version: "0" }, { capabilities: { tools: {} } });
  const echo = (name, description, handler) =>
    server.registerTool(name, { description, inputSchema: textOnly }, handler);
  echo("echo", "Returns its text.", async ({ text }) => reply(text));
  echo("echo_await", "Returns its text after awaiting a settled promise.", async ({ text }) => {
    await Promise.resolve(1);
    return reply(text);
  });
  echo("echo_sleep0", "Returns its text one turn of the event loop later.", async ({ text }) => {
    await new Promise((resolve) => setImmediate(resolve));
    return reply(text);
  });
  echo("echo_thread", "Returns its text; there are no handlers in threads here.", ({ text }) => reply(text));
  server.registerTool("big", { description: "Returns 64 KiB of text.", inputSchema: z.object({}) }, async () => reply(BIG));
  for (let number = 0; number < 45; number += 1) {
    const name = `filler_${String(number).padStart(2, "0")}`;
    const description = `Does nothing; it is ${name} of the list.`;
    server.registerTool(name, { description, inputSchema: filler }, async ({ text }) => reply(text));
  }
  return server;
}

serveStdio(build);
