// Reading and writing safetensors files: 8 bytes of header length, a JSON header, data. No imports. The machine's byte
// order must be little-endian, as all common ones are.

const TYPES = { F64: Float64Array, F32: Float32Array, I64: BigInt64Array };

/** An object of name to {dtype, shape, data} from the bytes of a file; labels become ordinary integers. */
export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  delete header.__metadata__;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    if (!(dtype in TYPES)) throw new Error(`${name}: dtype ${dtype} is not one of ${Object.keys(TYPES)}`);
    const base = bytes.byteOffset + start;
    const raw = new TYPES[dtype](bytes.buffer.slice(base + from, base + to)); // a copy, and so aligned
    tensors[name] = { dtype, shape, data: dtype === "I64" ? Int32Array.from(raw, Number) : raw };
  }
  return tensors;
}

/** The bytes of a file with these tensors. */
export function encode(tensors) {
  const header = {};
  let length = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const dtype = Object.keys(TYPES).find((key) => data instanceof TYPES[key]);
    header[name] = { dtype, shape, data_offsets: [length, (length += data.byteLength)] };
  }
  let text = JSON.stringify(header);
  text += " ".repeat(-text.length & 7); // names are ASCII
  const bytes = new Uint8Array(8 + text.length + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(new TextEncoder().encode(text), 8);
  for (const [name, { data }] of Object.entries(tensors)) {
    const at = 8 + text.length + header[name].data_offsets[0];
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
  }
  return bytes;
}
