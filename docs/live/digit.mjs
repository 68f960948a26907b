// From strokes of a pen to what the network takes: the 8 x 8 counts of scikit-learn's digits. No imports.
//
// Those scans went through NIST's preprocessing (Garris et al., NISTIR 5469, 1994): a box of 20 x 32 in a bitmap of
// 32 x 32, strokes made thicker or thinner until the black pixels are as many as in any other digit, and a shear that
// brings the leftmost pixels of the first and the last row above each other. Then black pixels are counted in blocks
// of 4 x 4. What is done here with strokes follows that; that the scans look so can be seen in their numbers.

const SIDE = 32;
const BOX = [20, 32];
const INK = 313; // black pixels: the median of the 1,797 scans
const STRETCH = 2; // a narrow digit grows no more than this in width beyond what it does in height

/** The counts, 0..16, of strokes [[[x, y], ...], ...] with y growing downwards; null if there are none. */
export function countsOf(strokes) {
  const points = strokes.flat();
  if (points.length === 0) return null;
  let [thin, thick] = [1, 16];
  for (let step = 0; step < 8; step++) {
    const pen = (thin + thick) / 2;
    if (ink(bitmap(strokes, points, pen)) < INK) thin = pen;
    else thick = pen;
  }
  return blocks(upright(bitmap(strokes, points, thick)));
}

const ink = (image) => image.reduce((sum, pixel) => sum + pixel, 0);

/** Pixels 0 or 1 in rows: the strokes fitted into the box and drawn with a round pen. */
function bitmap(strokes, points, pen) {
  const place = fitted(points, pen);
  const image = new Uint8Array(SIDE * SIDE);
  for (const stroke of strokes) {
    const path = stroke.map(place);
    path.forEach((end, k) => drawLine(image, path[Math.max(k - 1, 0)], end, pen / 2));
  }
  return image;
}

/** The map from points of the strokes to the bitmap that leaves half a pen free around them. */
function fitted(points, pen) {
  const [low, high] = [Math.min, Math.max].map((f) => [0, 1].map((axis) => f(...points.map((p) => p[axis]))));
  const room = BOX.map((side) => Math.max(side - pen, 0));
  const tall = room[1] / Math.max(high[1] - low[1], (high[0] - low[0]) / 2, 1e-9); // a flat line is not blown up
  const wide = Math.min(room[0] / Math.max(high[0] - low[0], 1e-9), STRETCH * tall);
  return ([x, y]) => [
    SIDE / 2 + (x - (low[0] + high[0]) / 2) * wide,
    SIDE / 2 + (y - (low[1] + high[1]) / 2) * tall,
  ];
}

/** Blacken the pixels whose centres lie within a distance of a line. */
function drawLine(image, [x0, y0], [x1, y1], radius) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const from = (a, b) => Math.max(Math.floor(Math.min(a, b) - radius), 0);
  const to = (a, b) => Math.min(Math.ceil(Math.max(a, b) + radius), SIDE);
  for (let row = from(y0, y1); row < to(y0, y1); row++) {
    for (let col = from(x0, x1); col < to(x0, x1); col++) {
      const [x, y] = [col + 0.5 - x0, row + 0.5 - y0];
      const along = Math.min(Math.max((x * dx + y * dy) / (dx * dx + dy * dy || 1), 0), 1);
      if (Math.hypot(x - along * dx, y - along * dy) <= radius) image[row * SIDE + col] = 1;
    }
  }
}

/** The bitmap with its rows moved sideways so that the leftmost pixels of its first and last row line up. */
function upright(image) {
  const lefts = Array.from({ length: SIDE }, (_, row) => image.subarray(row * SIDE, (row + 1) * SIDE).indexOf(1));
  const filled = lefts.map((left, row) => (left < 0 ? -1 : row)).filter((row) => row >= 0);
  const [top, bottom] = [filled[0], filled.at(-1)];
  const slope = top === bottom ? 0 : (lefts[top] - lefts[bottom]) / (bottom - top);
  const moved = new Uint8Array(image.length);
  for (let row = top; row <= bottom; row++) {
    const by = Math.round(slope * (row - (top + bottom) / 2));
    for (let col = 0; col < SIDE; col++) {
      if (image[row * SIDE + col] && col + by >= 0 && col + by < SIDE) moved[row * SIDE + col + by] = 1;
    }
  }
  return moved;
}

/** Black pixels in each block of 4 x 4. */
function blocks(image) {
  const counts = new Array(64).fill(0);
  image.forEach((pixel, k) => (counts[Math.floor(k / (4 * SIDE)) * 8 + Math.floor((k % SIDE) / 4)] += pixel));
  return counts;
}
