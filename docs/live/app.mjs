// What is drawn, what is shown. The rest of the page is in page.html and style.css.

import { countsOf } from "./digit.mjs";
import { answersOf, inputOf, tensorsOf } from "./model.mjs";

const $ = (id) => document.getElementById(id);
const model = JSON.parse($("model").textContent);
const params = tensorsOf(model.params);
const { R } = model;
const percent = (share) => (share > 0.9995 && share < 1 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`);

const state = { strokes: [], counts: null, rank: 8 };

// --- drawing ---

const pad = $("pad");
let pen = null; // the stroke under the pointer

pad.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  pad.setPointerCapture(event.pointerId);
  pen = [place(event)];
  state.strokes.push(pen);
  draw();
});

pad.addEventListener("pointermove", (event) => {
  if (!pen || !event.isPrimary) return;
  const events = event.getCoalescedEvents?.() ?? [];
  pen.push(...(events.length ? events : [event]).map(place));
  draw();
});

for (const name of ["pointerup", "pointercancel"]) pad.addEventListener(name, () => (pen = null));

/** Where an event is on the pad, in units of its side. */
function place(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

let waiting = false;
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    state.counts = countsOf(state.strokes);
    show();
  });
}

$("clear").addEventListener("click", () => {
  state.strokes = [];
  state.counts = null;
  show();
});

// --- scans to try, the slider, the strip ---

const countsOfText = (text) => Array.from(text, (c) => parseInt(c, 17));

for (const { label, counts } of model.examples) {
  const button = document.createElement("button");
  button.type = "button";
  button.ariaLabel = `A scan of the digit ${label}`;
  const image = button.appendChild(document.createElement("canvas"));
  button.addEventListener("click", () => {
    state.strokes = [];
    state.counts = countsOfText(counts);
    show();
  });
  $("examples").append(button);
  paintCounts(image, countsOfText(counts));
}

$("rank").max = R;
$("rank").addEventListener("input", () => {
  state.rank = Number($("rank").value);
  show();
});

const columns = model.ranks.map(({ rank }) => {
  const column = document.createElement("div");
  column.className = "column";
  column.innerHTML = '<b></b><div class="meter sure"><div></div></div><div class="meter cost"><div></div></div>';
  column.addEventListener("click", () => {
    state.rank = rank;
    show();
  });
  $("strip").append(column);
  return column;
});

const bars = Array.from({ length: 10 }, (_, digit) => {
  const row = document.createElement("div");
  row.className = "bar";
  row.innerHTML = `<span>${digit}</span><div class="meter"><div></div></div><span></span>`;
  $("bars").append(row);
  return row;
});

// --- showing ---

const answersOfCounts = (counts) => answersOf(params, inputOf(counts, model), R);
const costs = answersOfCounts(new Array(64).fill(0)).map((answer) => answer.multiplyAdds);

function show() {
  const answers = state.counts && answersOfCounts(state.counts);
  const [k, answer] = [state.rank - 1, answers?.[state.rank - 1]];
  const sure = answer && answer.probabilities[answer.digit];
  $("rank").value = state.rank;
  $("rank-now").textContent = state.rank;
  $("multiply-adds").textContent = costs[k].toLocaleString("en");
  $("share").textContent = percent(costs[k] / model.dense_multiply_adds);
  $("accuracy").textContent = percent(model.ranks[k].accuracy);
  $("digit").textContent = answer ? answer.digit : "–";
  $("sure").textContent = answer ? percent(sure) : "–";
  $("said").textContent = answer ? `At rank ${state.rank}: ${answer.digit}, ${percent(sure)}` : "Nothing is drawn.";
  $("hint").hidden = Boolean(state.counts);
  bars.forEach((row, digit) => {
    const p = answer ? answer.probabilities[digit] : 0;
    row.classList.toggle("best", answer?.digit === digit);
    row.querySelector(".meter div").style.width = `${100 * p}%`;
    row.lastElementChild.textContent = answer ? percent(p) : "";
  });
  columns.forEach((column, i) => {
    const at = answers?.[i];
    column.classList.toggle("now", i === k);
    column.classList.toggle("other", Boolean(at) && at.digit !== answers.at(-1).digit);
    column.title = `rank ${i + 1}`;
    column.querySelector("b").textContent = at ? at.digit : "";
    column.querySelector(".sure div").style.height = at ? `${100 * at.probabilities[at.digit]}%` : 0;
    column.querySelector(".cost div").style.height = `${(100 * costs[i]) / model.dense_multiply_adds}%`;
  });
  paintPad();
  paintCounts($("seen"), state.counts ?? new Array(64).fill(0));
}

/** The strokes, or the scan where there are none. */
function paintPad() {
  const side = (pad.width = pad.height = Math.round(pad.clientWidth * devicePixelRatio));
  if (state.strokes.length === 0 && state.counts) return paintCounts(pad, state.counts, side);
  const paint = pad.getContext("2d");
  paint.lineWidth = side / 14;
  paint.lineCap = paint.lineJoin = "round";
  paint.strokeStyle = getComputedStyle(pad).color;
  for (const stroke of state.strokes) {
    paint.beginPath();
    for (const [x, y] of [stroke[0], ...stroke]) paint.lineTo(x * side, y * side); // a point alone is a dot
    paint.stroke();
  }
}

/** Counts as 8 x 8 squares, the fuller the darker. */
function paintCounts(canvas, counts, side = 64) {
  canvas.width = canvas.height = side;
  const paint = canvas.getContext("2d");
  paint.fillStyle = getComputedStyle(canvas).color;
  const edge = (k) => Math.round((k * side) / 8); // whole pixels, so that no seams show
  counts.forEach((count, k) => {
    const [col, row] = [k % 8, Math.floor(k / 8)];
    paint.globalAlpha = count / 16;
    paint.fillRect(edge(col), edge(row), edge(col + 1) - edge(col), edge(row + 1) - edge(row));
  });
}

// --- facts in the text, the footer's table, and the start ---

for (const place of document.querySelectorAll("[data-fact]")) place.textContent = model[place.dataset.fact];
for (const { rank, accuracy, loss } of model.ranks) {
  const [multiplyAdds, share] = [costs[rank - 1], costs[rank - 1] / model.dense_multiply_adds];
  const row = $("table").insertRow();
  for (const cell of [rank, multiplyAdds.toLocaleString("en"), percent(share), percent(accuracy), loss.toFixed(3)]) {
    row.insertCell().textContent = cell;
  }
}

const repaint = () => {
  model.examples.forEach(({ counts }, k) => paintCounts($("examples").children[k].firstChild, countsOfText(counts)));
  show();
};
addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

state.counts = countsOfText(model.examples[3].counts);
show();
