// The client of `@modelcontextprotocol/client` 2.4, by its `Client` over stdio, Streamable HTTP or HTTP+SSE.
//
// Facts, read in 2.4.0 and seen on the wire: without options it speaks legacy only and offers the first legacy revision of
// `supportedProtocolVersions` (2025-11-25 by default), so every legacy revision can be offered, and counter-offers within
// the list are accepted. `versionNegotiation: {mode: "auto"}` starts a second, short-lived process of the server, sends
// `server/discover` to it and ends it with a signal, then starts the real one; `{mode: {pin: "2026-07-28"}}` does the same
// without a fallback. The list methods walk all pages by themselves. Logs of the modern era need the level in `_meta`.
//
// Modes: "legacy", "auto", "2026-07-28", and "offer:<revision>" for a legacy client that offers exactly that revision.
import { Client, ProtocolError, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Conversation, LOG_LEVEL, ROOTS, SAMPLED, answerForm, main } from "./battery.mjs";

function negotiation(mode) {
  if (mode === "legacy" || mode === "auto") return { versionNegotiation: { mode } };
  if (mode.startsWith("offer:")) return { supportedProtocolVersions: [mode.slice("offer:".length)] };
  return { versionNegotiation: { mode: { pin: mode } } };
}

function makeTransport({ transport, command: [command, ...args] = [], env, cwd, url }) {
  if (transport === "http") return new StreamableHTTPClientTransport(new URL(url));
  if (transport === "sse") return new SSEClientTransport(new URL(url));
  return new StdioClientTransport({ command, args, env, cwd: cwd ?? undefined });
}

class TypeScriptV2 extends Conversation {
  constructor(options) {
    super();
    this.transport = makeTransport(options);
    this.client = new Client(
      { name: "interop-typescript-v2", version: "1" },
      { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } }, ...negotiation(options.mode) },
    );
    this.client.onerror = (error) => this.fault(error);
    this.client.fallbackNotificationHandler = async (note) => this.note(note.method, note.params);
    this.client.setRequestHandler("sampling/createMessage", async (request) => this.answer(request, SAMPLED));
    this.client.setRequestHandler("roots/list", async (request) => this.answer(request, { roots: ROOTS }));
    this.client.setRequestHandler("elicitation/create", async (request) => this.answer(request, answerForm(request.params)));
  }

  answer(request, result) {
    this.asked.push({ method: request.method, params: request.params ?? null });
    return result;
  }

  async connect() {
    await this.client.connect(this.transport);
    this.modern = this.client.getProtocolEra() === "modern";
    return this;
  }

  async close() {
    await this.transport.terminateSession?.();
    await this.client.close();
  }

  facts() {
    return {
      revision: this.client.getNegotiatedProtocolVersion(),
      server: this.client.getServerVersion() ?? null,
      capabilities: this.client.getServerCapabilities(),
      instructions: this.client.getInstructions() ?? null,
    };
  }

  errorOf(error) {
    return error instanceof ProtocolError ? { code: error.code, message: error.message, data: error.data } : null;
  }

  listPage(kind, cursor) {
    const params = cursor === undefined ? undefined : { cursor };
    if (kind === "tools") return this.client.listTools(params);
    if (kind === "resources") return this.client.listResources(params);
    if (kind === "resourceTemplates") return this.client.listResourceTemplates(params);
    return this.client.listPrompts(params);
  }

  call(name, args, { onprogress, signal, logLevel } = {}) {
    const _meta = logLevel ? { [LOG_LEVEL]: logLevel } : undefined;
    return this.client.callTool({ name, arguments: args, ...(_meta && { _meta }) }, { onprogress, signal });
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

  async callByHand(name, tampering) {
    const manual = { allowInputRequired: true };
    const first = await this.client.callTool({ name }, manual);
    const inputResponses = {};
    for (const [key, question] of Object.entries(first.inputRequests)) inputResponses[key] = answerForm(question.params);
    return this.client.callTool({ name, inputResponses, requestState: first.requestState + tampering }, manual);
  }

  async listen(uri, then, enough) {
    const start = this.heard.length;
    const subscription = await this.client.listen({
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: [uri],
    });
    await then();
    await this.until(() => this.heard.length - start >= enough);
    const events = this.heard.slice(start).map((note) => note.method);
    await subscription.close();
    return { honored: subscription.honoredFilter, events: events.sort(), closed: await subscription.closed };
  }
}

await main((options) => new TypeScriptV2(options).connect());
