// The client of `@modelcontextprotocol/sdk` 1.32, by its `Client` over stdio, Streamable HTTP or HTTP+SSE.
//
// Facts, read in 1.32.2 and seen on the wire: `connect` always offers 2025-11-25 and accepts 2025-06-18, 2025-03-26,
// 2024-11-05 (and 2024-10-07) as the counter-offer, so the older three are reached only through a server restricted to
// them; there is no modern era. Aborting the signal of a call sends `notifications/cancelled`. After `listTools` the client
// checks structured results against the tool's output schema. Over HTTP a session is ended by `terminateSession`, not by
// `close`.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  McpError,
} from "@modelcontextprotocol/sdk/types.js";
import { Conversation, ROOTS, SAMPLED, answerForm, main } from "./battery.mjs";

function makeTransport({ transport, command: [command, ...args] = [], env, cwd, url }) {
  if (transport === "http") return new StreamableHTTPClientTransport(new URL(url));
  if (transport === "sse") return new SSEClientTransport(new URL(url));
  return new StdioClientTransport({ command, args, env, cwd: cwd ?? undefined });
}

class TypeScriptV1 extends Conversation {
  constructor(options) {
    super();
    this.transport = makeTransport(options);
    this.client = new Client(
      { name: "interop-typescript-v1", version: "1" },
      { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } },
    );
    this.client.onerror = (error) => this.fault(error);
    this.client.fallbackNotificationHandler = async (note) => this.note(note.method, note.params);
    this.client.setRequestHandler(CreateMessageRequestSchema, async (request) => this.answer(request, SAMPLED));
    this.client.setRequestHandler(ListRootsRequestSchema, async (request) => this.answer(request, { roots: ROOTS }));
    this.client.setRequestHandler(ElicitRequestSchema, async (request) => this.answer(request, answerForm(request.params)));
  }

  answer(request, result) {
    this.asked.push({ method: request.method, params: request.params ?? null });
    return result;
  }

  async connect() {
    // The protocol revision is not shown by the client; the transport is told when the handshake is done.
    const told = this.transport.setProtocolVersion?.bind(this.transport);
    this.transport.setProtocolVersion = (revision) => {
      this.revision = revision;
      told?.(revision);
    };
    await this.client.connect(this.transport);
    return this;
  }

  async close() {
    await this.transport.terminateSession?.();
    await this.client.close();
  }

  facts() {
    return {
      revision: this.revision,
      server: this.client.getServerVersion(),
      capabilities: this.client.getServerCapabilities(),
      instructions: this.client.getInstructions() ?? null,
    };
  }

  errorOf(error) {
    return error instanceof McpError ? { code: error.code, message: error.message, data: error.data } : null;
  }

  listPage(kind, cursor) {
    const params = cursor === undefined ? undefined : { cursor };
    if (kind === "tools") return this.client.listTools(params);
    if (kind === "resources") return this.client.listResources(params);
    if (kind === "resourceTemplates") return this.client.listResourceTemplates(params);
    return this.client.listPrompts(params);
  }

  call(name, args, { onprogress, signal } = {}) {
    return this.client.callTool({ name, arguments: args }, undefined, { onprogress, signal });
  }

  read(uri) {
    return this.client.readResource({ uri });
  }

  getPrompt(name, args) {
    return this.client.getPrompt({ name, arguments: args });
  }

  complete(prompt, name, value) {
    return this.client.complete({ ref: { type: "ref/prompt", name: prompt }, argument: { name, value } });
  }

  subscribe(uri) {
    return this.client.subscribeResource({ uri });
  }

  unsubscribe(uri) {
    return this.client.unsubscribeResource({ uri });
  }

  setLogLevel(level) {
    return this.client.setLoggingLevel(level);
  }

  ping() {
    return this.client.ping();
  }
}

await main((options) => new TypeScriptV1(options).connect());
