// The trained model of model.json and model.safetensors, as build.py writes it into the page.

import { argmax, cost, forward, softmax } from "../../golden/ports/js/nsn.mjs";

/** Tensors by name from {shape, data}, data being the base64 of little-endian float32 numbers. */
export function tensorsOf(stored) {
  const bytes = (data) => Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer;
  const tensor = ({ shape, data }) => ({ shape, data: new Float32Array(bytes(data)) });
  return Object.fromEntries(Object.entries(stored).map(([name, t]) => [name, tensor(t)]));
}

/** The network's input: counts standardised as the training scans were. */
export function inputOf(counts, { mean, scale }) {
  return { shape: [1, counts.length], data: Float32Array.from(counts, (count, k) => (count - mean[k]) / scale) };
}

/** At every rank 1..R: the probabilities of the digits, the likeliest, and what it costs. */
export function answersOf(params, x, R) {
  return Array.from({ length: R }, (_, k) => {
    const probabilities = softmax(forward(params, x, k + 1).data);
    return { rank: k + 1, probabilities, digit: argmax(probabilities), multiplyAdds: cost(params, k + 1) };
  });
}
