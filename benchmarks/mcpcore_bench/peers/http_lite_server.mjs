// The benchmark's HTTP server on mcp-lite, under @hono/node-server, which turns Node's requests into those of fetch.

import { parseArgs } from "node:util";

import { serve } from "@hono/node-server";
import { InMemorySessionAdapter, McpServer, StreamableHttpTransport } from "mcp-lite";
import { z } from "zod";

const option = { type: "string" };
const { values } = parseArgs({ options: { port: option, tools: option, answer: option, sessions: option } });

const reply = (text) => ({ content: [{ type: "text", text }] });
const textOnly = z.object({ text: z.string() });
const filler = z.object({ text: z.string(), count: z.number().int().default(1) });

const server = new McpServer({ name: "bench", version: "0", schemaAdapter: (schema) => z.toJSONSchema(schema) });
server.tool("echo", { description: "Returns its text.", inputSchema: textOnly, handler: async ({ text }) => reply(text) });
server.tool("echo_progress", {
  description: "Returns its text after a progress message.",
  inputSchema: textOnly,
  handler: async ({ text }, context) => {
    await context.progress({ progress: 1 });
    return reply(text);
  },
});
for (let number = 0; number < Number(values.tools) - 2; number += 1) {
  const name = `filler_${String(number).padStart(3, "0")}`;
  const description = `Does nothing; it is ${name} of the list.`;
  server.tool(name, { description, inputSchema: filler, handler: async ({ text }) => reply(text) });
}

const sessionAdapter = values.sessions === "yes" ? new InMemorySessionAdapter({ maxEventBufferSize: 1024 }) : undefined;
const handle = new StreamableHttpTransport({ sessionAdapter }).bind(server);
serve({ fetch: (request) => handle(request), port: Number(values.port), hostname: "127.0.0.1" });
