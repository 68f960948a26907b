// Reading and writing safetensors files: 8 bytes of header length, a JSON header, data. No imports. The machine's byte
// order must be little-endian, as all common ones are.

const RAW = { F64: Float64Array, F32: Float32Array, F16: Uint16Array, BF16: Uint16Array, I64: BigInt64Array };

/** What the bits of each dtype stand for; float16 and bfloat16 become float32, labels ordinary integers. */
const READ = {
  F64: (raw) => raw,
  F32: (raw) => raw,
  F16: (raw) => Float32Array.from(raw, fromHalf),
  BF16: (raw) => new Float32Array(Uint32Array.from(raw, (bits) => bits << 16).buffer),
  I64: (raw) => Int32Array.from(raw, Number),
};

const WRITE = {
  F64: (data) => Float64Array.from(data),
  F32: (data) => Float32Array.from(data),
  F16: (data) => Uint16Array.from(data, toHalf),
  BF16: (data) => Uint16Array.from(new Uint32Array(Float32Array.from(data).buffer), toBrain),
};

function fromHalf(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

/** To the nearest, ties to even. */
function toHalf(x) {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const a = Math.abs(x);
  if (Number.isNaN(x)) return 0x7e00;
  if (a >= 65520) return sign | 0x7c00;
  let exponent = -14;
  while (a >= 2 ** (exponent + 1)) exponent++;
  const scaled = a / 2 ** (exponent - 10);
  const down = Math.floor(scaled);
  const up = scaled - down > 0.5 || (scaled - down === 0.5 && down % 2 === 1);
  return sign | (((exponent + 14) << 10) + down + (up ? 1 : 0)); // the leading bit of down counts for an exponent
}

/** The upper half of the bits of a float32, to the nearest, ties to even. */
function toBrain(bits) {
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0; // NaN
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

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
