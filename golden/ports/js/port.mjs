// A port of the golden suite in plain JavaScript, driven through files; nothing beyond Node 20 is needed:
//
//     nsn-ref golden check "cmd:node golden/ports/js/port.mjs"
//
// float16 and bfloat16 are formats of tensors only: arithmetic is in float64, and between float32 arrays.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LENGTHS, storedAs } from "./formats.mjs";
import { OPERATIONS } from "./operations.mjs";
import { decode, encode } from "./safetensors.mjs";

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

/** Outputs with their dtypes. Stages of a net that were computed in float32 and then rounded are left out: the next one
 *  does not follow from the rounded one. */
function withTypes(outputs, inputs) {
  const typed = Object.entries(outputs).map(([name, t]) => [name, { ...t, dtype: storedAs(name, inputs) }]);
  const isStage = (name) => /^(h|z|a|da|dz)\.\d+$|^dlogits$/.test(name);
  return Object.fromEntries(typed.filter(([name, t]) => LENGTHS[t.dtype] > 2 || !isStage(name)));
}

function main(calls, out) {
  if (out === undefined) throw new Error("usage: port.mjs calls.json OUTDIR");
  for (const { id, op, attrs, inputs } of JSON.parse(readFileSync(calls, "utf8")).calls) {
    if (!(op in OPERATIONS)) continue; // no file: not covered
    const tensors = decode(readFileSync(inputs));
    const outputs = OPERATIONS[op](tensors, readAttrs(attrs));
    writeFileSync(join(out, `${id}.safetensors`), encode(withTypes(outputs, tensors)));
  }
}

try {
  main(...process.argv.slice(2));
} catch (error) {
  console.error(error.stack);
  console.error(`port.mjs: ${error.message}`); // the last line is what a report shows
  process.exitCode = 1;
}
