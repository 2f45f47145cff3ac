// Drives whole exchanges with fetch through the WebAssembly module: node exchange.test.mjs MODULE.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const module = await readFile(process.argv[2]);
const { instance } = await WebAssembly.instantiate(module, {});
const oa = instance.exports;

// Calls an exported function with these bytes, and parses what it leaves.
function call(name, bytes) {
  const input = oa.oa_input(bytes.length);
  new Uint8Array(oa.memory.buffer, input, bytes.length).set(bytes);
  oa[name]();
  const output = new Uint8Array(oa.memory.buffer, oa.oa_output(), oa.oa_output_length());
  return JSON.parse(new TextDecoder().decode(output));
}

const json = (value) => new TextEncoder().encode(JSON.stringify(value));

async function exchange(baseUrl, stream) {
  const request = call("oa_request", json({ base_url: baseUrl, stream }));
  assert.equal(request.url, `${baseUrl}/v1/chat/completions`);
  const headers = request.headers.filter(([name]) => name !== "accept-encoding");
  const response = await fetch(request.url, { method: request.method, headers, body: request.body });
  call("oa_response", json({ status: response.status, headers: [...response.headers] }));
  const texts = [];
  for await (const part of response.body) {
    const events = call("oa_push", part);
    if (events.error) return events;
    texts.push(...events);
  }
  return { texts, ...call("oa_finish", new Uint8Array()) };
}

const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const requests = [];
const server = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  requests.push(JSON.parse(body));
  if (request.url.startsWith("/refuses")) {
    response.writeHead(429, { "content-type": "application/json" });
    return response.end('{"error":{"message":"slow down"}}');
  }
  if (!requests.at(-1).stream) {
    response.writeHead(200, { "content-type": "application/json" });
    const choice = { index: 0, message: { role: "assistant", content: "Hello, wörld 😀" }, finish_reason: "stop" };
    return response.end(JSON.stringify({ choices: [choice], usage }));
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const chunk = (delta, finish_reason = null) => ({ choices: [{ index: 0, delta, finish_reason }] });
  const chunks = [chunk({ content: "Hello, w" }), chunk({ content: "örld 😀" }), chunk({}, "stop")];
  const events = [...chunks, { choices: [], usage }].map((event) => `data: ${JSON.stringify(event)}\n\n`);
  const bytes = Buffer.from(events.join("") + "data: [DONE]\n\n");
  // Three bytes at a time: characters are cut.
  for (let at = 0; at < bytes.length; at += 3) response.write(bytes.subarray(at, at + 3));
  response.end();
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const baseUrl = `http://127.0.0.1:${server.address().port}`;

try {
  const whole = await exchange(baseUrl, false);
  assert.deepEqual([whole.text, whole.finish_reason, whole.total_tokens], ["Hello, wörld 😀", "stop", 3]);
  assert.equal(requests[0].model, "my-model");

  const streamed = await exchange(baseUrl, true);
  assert.deepEqual(streamed.texts, ["Hello, w", "örld 😀"]);
  assert.deepEqual([streamed.text, streamed.finish_reason, streamed.total_tokens], ["Hello, wörld 😀", "stop", 3]);
  assert.equal(requests[1].stream, true);

  const refused = await exchange(`${baseUrl}/refuses`, false);
  assert.equal(refused.error, "provider_rate_limit");
  assert.match(refused.message, /slow down/);
  console.log("a completion, a stream and a refusal through fetch: 3 passed, 0 failed");
} finally {
  server.close();
}
