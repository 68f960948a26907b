// A port of the golden suite in plain JavaScript, driven through files; nothing beyond Node 20 is needed:
//
//     nsn-ref golden check "cmd:node golden/ports/js/port.mjs"

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nestedLinear, zeros } from "./nsn.mjs";
import { decode, encode } from "./safetensors.mjs";
import { mlpStep, nestedLinearBackward, objective, objectiveBackward } from "./training.mjs";

/** Tensors of equal shapes as one, along a new first axis. */
function stack(like, tensors) {
  const out = zeros(like, tensors.length, ...tensors[0].shape);
  tensors.forEach((t, k) => out.data.set(t.data, k * t.data.length));
  return out;
}

/** The gradients of outputs at several ranks, added up; dys has one cotangent after another. */
function linearBackward({ x, A, B, b }, dys, ranks) {
  const grads = { dA: zeros(A, ...A.shape), dB: zeros(B, ...B.shape), db: zeros(b, ...b.shape) };
  const dx = zeros(x, ...x.shape);
  const shape = [...x.shape.slice(0, -1), b.shape[0]];
  const n = dys.data.length / ranks.length;
  ranks.forEach((rank, k) => {
    const dy = { shape, data: dys.data.subarray(k * n, (k + 1) * n) };
    const part = nestedLinearBackward(x, A, B, nestedLinear(x, A, B, b, rank).h, dy, grads);
    part.data.forEach((d, i) => (dx.data[i] += d));
  });
  return { dx, ...grads };
}

const OPERATIONS = {
  nested_linear_forward: ({ x, A, B, b }, { rank }) => nestedLinear(x, A, B, b, rank),
  nested_linear_backward: (t, { rank }) => linearBackward(t, t.dy, [rank]),
  multirank_linear_forward: ({ x, A, B, b }, { ranks }) => ({
    ys: stack(x, ranks.map((rank) => nestedLinear(x, A, B, b, rank).y)),
    h: nestedLinear(x, A, B, b, Math.max(...ranks)).h,
  }),
  multirank_linear_backward: (t, { ranks }) => linearBackward(t, t.dys, ranks),
  objective_forward: ({ losses, s }, attrs) => objective(losses, s, attrs),
  objective_backward: ({ losses, s, dtotal }, attrs) => objectiveBackward(losses, s, dtotal.data[0], attrs),
  mlp_step: mlpStep,
};

/** A hexadecimal float such as "-0x1.8p-2"; halving and doubling lose no bit. */
function fromHex(text) {
  const [, sign, whole, fraction = "", exponent] = /^(-?)0x([01])\.?([0-9a-f]*)p([+-]\d+)$/.exec(text);
  let value = parseInt(whole + fraction, 16);
  let power = Number(exponent) - 4 * fraction.length;
  for (; power > 0; power--) value *= 2;
  for (; power < 0; power++) value /= 2;
  return sign ? -value : value;
}

/** Attributes as written in calls.json; floats are strings that begin with 0x. */
function readAttrs(attrs) {
  const isHex = (value) => typeof value === "string" && /^-?0x/.test(value);
  return Object.fromEntries(Object.entries(attrs).map(([name, v]) => [name, isHex(v) ? fromHex(v) : v]));
}

const [calls, out] = process.argv.slice(2);
for (const { id, op, attrs, inputs } of JSON.parse(readFileSync(calls, "utf8")).calls) {
  if (!(op in OPERATIONS)) continue; // no file: not covered
  const answer = OPERATIONS[op](decode(readFileSync(inputs)), readAttrs(attrs));
  writeFileSync(join(out, `${id}.safetensors`), encode(answer));
}
