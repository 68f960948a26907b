// Reading and writing safetensors files: 8 bytes of header length, a JSON header, data. No imports. The machine's byte
// order must be little-endian, as all common ones are.

import { RAW, READ, WRITE } from "./formats.mjs";

/** An object of name to {dtype, shape, data} from the bytes of a file. */
export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  delete header.__metadata__;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    if (!(dtype in RAW)) throw new Error(`${name}: dtype ${dtype} is not one of ${Object.keys(RAW)}`);
    const base = bytes.byteOffset + start;
    const raw = new RAW[dtype](bytes.buffer.slice(base + from, base + to)); // a copy, and so aligned
    tensors[name] = { dtype, shape, data: READ[dtype](raw) };
  }
  return tensors;
}

/** The bytes of a file with these tensors, {dtype, shape, data}. */
export function encode(tensors) {
  const header = {};
  const parts = [];
  let length = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    parts.push(WRITE[dtype](data));
    header[name] = { dtype, shape, data_offsets: [length, (length += parts.at(-1).byteLength)] };
  }
  let text = JSON.stringify(header);
  text += " ".repeat(-text.length & 7); // names are ASCII
  const bytes = new Uint8Array(8 + text.length + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(new TextEncoder().encode(text), 8);
  let at = 8 + text.length;
  for (const part of parts) {
    bytes.set(new Uint8Array(part.buffer), at);
    at += part.byteLength;
  }
  return bytes;
}
