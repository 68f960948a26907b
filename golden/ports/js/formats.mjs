// The formats that tensors are stored in: what their bits stand for, and which of them an output has. No imports.

export const RAW = { F64: Float64Array, F32: Float32Array, F16: Uint16Array, BF16: Uint16Array, I64: BigInt64Array };

/** What the bits of each dtype stand for; float16 and bfloat16 become float32, labels ordinary integers. */
export const READ = {
  F64: (raw) => raw,
  F32: (raw) => raw,
  F16: (raw) => Float32Array.from(raw, fromHalf),
  BF16: (raw) => new Float32Array(Uint32Array.from(raw, (bits) => bits << 16).buffer),
  I64: (raw) => Int32Array.from(raw, Number),
};

export const WRITE = {
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

export const LENGTHS = { BF16: 2, F16: 2, F32: 4, F64: 8 };

/** The dtype of an output; where inputs have two: weights, sums and the optimiser's tensors have the longer one. */
export function storedAs(name, inputs) {
  if (name.startsWith("d") && name.slice(1) in inputs) return inputs[name.slice(1)].dtype;
  const dtypes = Object.values(inputs).map((t) => t.dtype).filter((dtype) => dtype in LENGTHS);
  dtypes.sort((a, b) => LENGTHS[a] - LENGTHS[b]);
  return /^(grad|param|m|v)\.|^(losses|w|total)$/.test(name) ? dtypes.at(-1) : dtypes[0];
}

/** A tensor rounded as the output of that name is: what is returned is what the next stage gets. */
export function store(x, name, inputs) {
  const dtype = storedAs(name, inputs);
  return LENGTHS[dtype] > 2 ? x : { shape: x.shape, data: READ[dtype](WRITE[dtype](x.data)) };
}
