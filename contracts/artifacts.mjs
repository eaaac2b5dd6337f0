// Takes ABI and bytecode out of forge's output, for Python.
//   node artifacts.mjs check  OUT TARGET   fails when a file in TARGET is not what was built
//   node artifacts.mjs update OUT TARGET   writes them
// Both fail when a contract's ABI is not the deployed one (abi/), or its code is longer than a chain accepts.
import { readFileSync, writeFileSync, mkdirSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const MAX_CODE_BYTES = 24_576; // EIP-170
const DEPLOYED = ["JobMarketplace", "NodeRegistry", "ModelRegistry", "ProofSystem", "HostEarnings"];
const OTHERS = ["ERC1967Proxy", "TestToken"];
const TYPES = ["constructor", "receive", "fallback", "function", "event", "error"];

const [mode, out, target] = process.argv.slice(2);
if (!["check", "update"].includes(mode) || !out || !target) {
  console.error("usage: node artifacts.mjs check|update OUT TARGET");
  process.exit(2);
}

const problems = [];
const artifacts = {};
for (const name of [...DEPLOYED, ...OTHERS]) {
  const built = readBuilt(name);
  const abi = normalise(built.abi);
  if (DEPLOYED.includes(name)) compareAbi(name, abi);
  const size = bytes(built.deployedBytecode.object);
  if (size > MAX_CODE_BYTES) problems.push(`${name}: ${size} bytes of code, at most ${MAX_CODE_BYTES} are allowed`);
  artifacts[`${name}.json`] = artifact(abi, built.bytecode.object);
}
if (problems.length === 0) {
  mkdirSync(target, { recursive: true });
  for (const [file, content] of Object.entries(artifacts)) settle(file, content);
}
for (const problem of problems) console.error(problem);
process.exit(problems.length ? 1 : 0);

function readBuilt(name) {
  const file = ["ERC1967Proxy.sol", `${name}.sol`].map((f) => join(out, f, `${name}.json`)).find(existsSync);
  if (!file) throw new Error(`${name} was not built in ${out}`);
  return JSON.parse(readFileSync(file, "utf8"));
}

// One entry a line, in a fixed order, without what only the source's author knows (internalType).
function normalise(abi) {
  return abi
    .map((entry) => ({ entry: withoutInternalTypes(entry), key: sortKey(entry) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ entry }) => JSON.stringify(entry));
}

function withoutInternalTypes(value) {
  if (Array.isArray(value)) return value.map(withoutInternalTypes);
  if (value === null || typeof value !== "object") return value;
  const keys = Object.keys(value).filter((key) => key !== "internalType");
  return Object.fromEntries(keys.sort().map((key) => [key, withoutInternalTypes(value[key])]));
}

function sortKey(entry) {
  const inputs = (entry.inputs ?? []).map((input) => input.type).join(",");
  return `${TYPES.indexOf(entry.type)} ${entry.name ?? ""} ${inputs}`;
}

function compareAbi(name, abi) {
  const deployed = normalise(JSON.parse(readFileSync(join(HERE, "abi", `${name}.json`), "utf8")));
  const missing = deployed.filter((entry) => !abi.includes(entry));
  const extra = abi.filter((entry) => !deployed.includes(entry));
  for (const entry of missing) problems.push(`${name}: the deployed ABI has, ours lacks ${entry}`);
  for (const entry of extra) problems.push(`${name}: ours has, the deployed ABI lacks ${entry}`);
}

function artifact(abi, bytecode) {
  if (!/^0x[0-9a-f]+$/.test(bytecode)) throw new Error("bytecode is not linked");
  return `{\n"abi": [\n${abi.join(",\n")}\n],\n"bytecode": "${bytecode}"\n}\n`;
}

function bytes(hex) {
  return (hex.length - 2) / 2;
}

function settle(file, content) {
  const path = join(target, file);
  if (existsSync(path) && readFileSync(path, "utf8") === content) {
    console.error(`same: ${file}`);
  } else if (mode === "update") {
    writeFileSync(path, content);
    console.error(`updated: ${file}`);
  } else {
    problems.push(`DIFFERS: ${file}`);
  }
}
