// Socket.IO clients of npm's socket.io-client, by the name that the test gives them.

import { io } from "socket.io-client";

const clients = new Map();

function changed(client) {
  for (const look of [...client.waiting]) look();
}

export async function sioOpen({ name, url, options }, seen) {
  const socket = io(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options });
  const client = { socket, payloads: [], connects: 0, errors: [], waiting: new Set() };
  clients.set(name, client);
  socket.on("RECEIVE_STREAM", (payload) => {
    client.payloads.push(payload);
    changed(client);
  });
  socket.on("connect", () => {
    client.connects += 1;
    changed(client);
  });
  socket.on("connect_error", (error) => {
    client.errors.push(error.message);
    changed(client);
  });
  await until({ name, connects: 1, errors: 1 });
  seen(name);
  return state({ name });
}

export function state({ name }) {
  const { socket, payloads, connects, errors } = clients.get(name);
  return { sid: socket.id ?? null, transport: socket.io.engine?.transport.name, payloads, connects, errors };
}

// Wait until any of what is named has come: connects, errors, a transport, or a number of characters of an answer.
export function until({ name, connects, errors, transport, length, turnId }) {
  const client = clients.get(name);
  return new Promise((resolve) => {
    const look = () => {
      const texts = client.payloads.filter((each) => each.type === "STREAM" && each.turnId === turnId);
      const done =
        client.connects >= connects ||
        client.errors.length >= errors ||
        client.socket.io.engine?.transport.name === transport ||
        texts.at(-1)?.prompt.length >= length;
      if (!done) return;
      clearInterval(timer);
      client.waiting.delete(look);
      resolve(state({ name }));
    };
    const timer = setInterval(look, 20);
    client.waiting.add(look);
    look();
  });
}

// Binary travels as {hex}: what goes in and out here is JSON.
export async function sioCall({ name, event, args }) {
  const given = args.map((arg) => (arg?.hex === undefined ? arg : Buffer.from(arg.hex, "hex")));
  return { answer: await clients.get(name).socket.timeout(10_000).emitWithAck(event, ...given) };
}

export function sioEmit({ name, event, args }) {
  clients.get(name).socket.emit(event, ...args);
  return {};
}

export function sioClose({ name }) {
  clients.get(name).socket.disconnect();
  clients.delete(name);
  return {};
}
