// A paid, encrypted conversation with a host, on the libraries of the existing client and without
// our code: init, prompt, chunks, end. Reads one JSON command on standard input, writes one JSON
// answer on standard output. Node.js 20 needs --experimental-websocket.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => Uint8Array.from(Buffer.from(text.replace(/^0x/, ""), "hex"));
const utf8 = (text) => new TextEncoder().encode(text);
const joined = (...parts) => Uint8Array.from(Buffer.concat(parts));

const ALGORITHM = "secp256k1-ecdh(ephemeral→static)+hkdf(sha256)+xchacha20-poly1305";
const SALT = new Uint8Array(32);

function sealedInit(fields, host, clientKey) {
  const ephemeral = secp256k1.utils.randomSecretKey();
  const ephemeralPublic = secp256k1.getPublicKey(ephemeral, true);
  const shared = secp256k1.getSharedSecret(ephemeral, host, true).slice(1);
  const key = hkdf(sha256, shared, SALT, new Uint8Array(), 32);
  const nonce = randomBytes(24);
  const ciphertext = xchacha20poly1305(key, nonce).encrypt(utf8(JSON.stringify(fields)));
  const bar = utf8("|");
  const digest = sha256(
    joined(utf8("E2EEv1"), bar, ephemeralPublic, bar, host, bar, SALT, bar, nonce, bar),
  );
  const signature = secp256k1.sign(digest, clientKey, { prehash: false, format: "recovered" });
  return {
    ephPubHex: hex(ephemeralPublic),
    saltHex: hex(SALT),
    nonceHex: hex(nonce),
    ciphertextHex: hex(ciphertext),
    signatureHex: hex(signature.slice(1)) + hex(signature.slice(0, 1)),
    recid: signature[0],
    alg: ALGORITHM,
    info: "",
    aadHex: "",
  };
}

function sealedMessage(message, key, counter) {
  const nonce = randomBytes(24);
  const associated = utf8(`message_${counter}`);
  const ciphertext = xchacha20poly1305(key, nonce, associated).encrypt(
    utf8(JSON.stringify(message)),
  );
  return { ciphertextHex: hex(ciphertext), nonceHex: hex(nonce), aadHex: hex(associated) };
}

function opened({ ciphertextHex, nonceHex, aadHex }, key) {
  const cipher = xchacha20poly1305(key, bytes(nonceHex), bytes(aadHex));
  return new TextDecoder("utf-8", { fatal: true }).decode(cipher.decrypt(bytes(ciphertextHex)));
}

class Connection {
  #waiting = [];
  #frames = [];

  constructor(socket) {
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      const next = this.#waiting.shift();
      if (next) next(frame);
      else this.#frames.push(frame);
    };
  }

  static open(url) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      const connection = new Connection(socket);
      socket.onopen = () => resolve(connection);
      socket.onerror = () => reject(new Error(`cannot connect to ${url}`));
    });
  }

  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  async next(...kinds) {
    for (;;) {
      const frame = this.#frames.shift() ?? (await new Promise((take) => this.#waiting.push(take)));
      if (kinds.includes(frame.type)) return frame;
      if (frame.type === "error") throw new Error(`${frame.code}: ${frame.message}`);
    }
  }
}

async function answered(connection, { host, clientKey, sessionId, model, chainId }, question) {
  const key = randomBytes(32);
  const fields = {
    sessionKey: hex(key),
    jobId: sessionId,
    modelName: model,
    pricePerToken: 0,
    recoveryPublicKey: `0x${hex(secp256k1.getPublicKey(bytes(clientKey), true))}`,
  };
  connection.send({
    type: "encrypted_session_init",
    payload: sealedInit(fields, bytes(host), bytes(clientKey)),
    chain_id: chainId,
    session_id: sessionId,
    job_id: sessionId,
  });
  const ack = await connection.next("session_init_ack");
  const prompt = { prompt: question, model, max_tokens: 8, temperature: 0.7, stream: true };
  connection.send({
    type: "encrypted_message",
    session_id: sessionId,
    id: `${Date.now()}-${Math.random().toString(36).slice(2)}`,
    payload: sealedMessage(prompt, key, 0),
    web_search: false,
    max_searches: 5,
    search_queries: null,
  });
  let text = "";
  let final = false;
  while (!final) {
    const chunk = await connection.next("encrypted_chunk");
    text += opened(chunk.payload, key);
    final = chunk.final === true;
  }
  const finish = opened((await connection.next("encrypted_response")).payload, key);
  const end = await connection.next("stream_end");
  const update = JSON.parse(opened(end.sealed_transcript, key));
  return { client: ack.client_address, text, finish, end, update };
}

const command = JSON.parse(readFileSync(0, "utf8"));
const connection = await Connection.open(command.url);
const answers = [];
for (const question of command.questions) {
  answers.push(await answered(connection, command, question));
}
process.stdout.write(JSON.stringify(answers));
connection.socket.close(1000, "Client disconnect");
