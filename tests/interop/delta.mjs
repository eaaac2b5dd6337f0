// Sealed deltas and host signatures, on the libraries of the existing client and without our code.
// Reads one JSON command on standard input, writes one JSON answer on standard output.
import { readFileSync } from "node:fs";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => Uint8Array.from(Buffer.from(text.replace(/^0x/, ""), "hex"));
const utf8 = (text) => new TextEncoder().encode(text);

function sealingKey(privateKey, publicKey) {
  const shared = secp256k1.getSharedSecret(privateKey, publicKey, true).slice(1);
  return hkdf(sha256, sha256(shared), undefined, utf8("checkpoint-delta-encryption-v1"), 32);
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

function signer(message, signature) {
  const raw = bytes(signature);
  const prefix = utf8(`\x19Ethereum Signed Message:\n${message.length}`);
  const digest = keccak_256(Buffer.concat([prefix, message]));
  const recovered = secp256k1.Signature.fromBytes(raw.slice(0, 64), "compact")
    .addRecoveryBit(raw[64] - 27)
    .recoverPublicKey(digest);
  return `0x${hex(keccak_256(recovered.toBytes(false).slice(1)).slice(-20))}`;
}

const commands = {
  open({ published, privateKey }) {
    const ciphertext = bytes(published.ciphertext);
    const key = sealingKey(bytes(privateKey), bytes(published.ephemeralPublicKey));
    const plaintext = xchacha20poly1305(key, bytes(published.nonce)).decrypt(ciphertext);
    const delta = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plaintext));
    return {
      delta,
      outerSigner: signer(utf8(hex(keccak_256(ciphertext))), published.hostSignature),
      innerSigner: signer(utf8(canonical(delta.messages)), delta.hostSignature),
    };
  },
  seal({ delta, recipient, ephemeral, nonce }) {
    const key = sealingKey(bytes(ephemeral), bytes(recipient));
    const ciphertext = xchacha20poly1305(key, bytes(nonce)).encrypt(utf8(JSON.stringify(delta)));
    return {
      ephemeralPublicKey: `0x${hex(secp256k1.getPublicKey(bytes(ephemeral), true))}`,
      ciphertext: hex(ciphertext),
    };
  },
  signers({ index }) {
    return { checkpoints: signer(utf8(canonical(index.checkpoints)), index.hostSignature) };
  },
};

const { command, ...rest } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(commands[command](rest)));
