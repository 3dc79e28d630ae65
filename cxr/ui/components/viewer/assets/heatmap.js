// Heatmaps: smoothed, colored, or drawn as contours.

const HEATMAP_PX = 256; // side of the smoothed heatmap
const CONTOURS = [0.25, 0.5, 0.75]; // of the peak

const decoded = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// Catmull-Rom, as in the exported image; clamped at the borders.
const weights = (t) => [
  ((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1, ((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t,
];

function enlarged(line, from, stride, count, out, at, step) {
  for (let i = 0; i < HEATMAP_PX; i++) {
    const place = ((i + 0.5) * count) / HEATMAP_PX - 0.5, base = Math.floor(place), w = weights(place - base);
    let sum = 0;
    for (let k = -1; k <= 2; k++) sum += w[k + 1] * line[from + stride * Math.min(count - 1, Math.max(0, base + k))];
    out[at + step * i] = sum;
  }
}

function smooth({ rows, columns, cells }) {
  const values = Float32Array.from(decoded(cells), (cell) => cell / 255);
  const wide = new Float32Array(rows * HEATMAP_PX), full = new Float32Array(HEATMAP_PX * HEATMAP_PX);
  for (let row = 0; row < rows; row++) enlarged(values, row * columns, 1, columns, wide, row * HEATMAP_PX, 1);
  for (let column = 0; column < HEATMAP_PX; column++) enlarged(wide, column, HEATMAP_PX, rows, full, column, HEATMAP_PX);
  return full.map((value) => Math.min(1, Math.max(0, value)));
}

function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  return Object.assign(canvas, { width, height });
}

const colorOf = (palette, value) => palette.subarray(3 * Math.round(255 * value), 3 * Math.round(255 * value) + 3);

// A canvas in color; the heatmap covers in proportion to its values.
function colorWash(values, palette) {
  const canvas = newCanvas(HEATMAP_PX, HEATMAP_PX), context = canvas.getContext("2d");
  const image = context.createImageData(HEATMAP_PX, HEATMAP_PX);
  values.forEach((value, i) => image.data.set([...colorOf(palette, value), 255 * value], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}

// The lines where the heatmap crosses a level, as a path in parts of the film (marching squares).
function contour(values, level) {
  const path = new Path2D(), side = HEATMAP_PX, place = (x, y) => [(x + 0.5) / side, (y + 0.5) / side];
  for (let y = 0; y < side - 1; y++) {
    for (let x = 0; x < side - 1; x++) {
      const at = y * side + x, corners = [values[at], values[at + 1], values[at + side + 1], values[at + side]];
      const inside = corners.map((value) => value >= level);
      if (inside.every((is) => is === inside[0])) continue;
      const part = (i, j) => (level - corners[i]) / (corners[j] - corners[i]), ends = [];
      if (inside[0] !== inside[1]) ends.push(place(x + part(0, 1), y));
      if (inside[1] !== inside[2]) ends.push(place(x + 1, y + part(1, 2)));
      if (inside[3] !== inside[2]) ends.push(place(x + part(3, 2), y + 1));
      if (inside[0] !== inside[3]) ends.push(place(x, y + part(0, 3)));
      for (let i = 0; i + 1 < ends.length; i += 2) {
        path.moveTo(...ends[i]);
        path.lineTo(...ends[i + 1]);
      }
    }
  }
  return path;
}

// The heatmaps of one film, each made ready once for the colors that are chosen.
class Heatmaps {
  constructor(data) {
    this.cells = data.maps;
    this.palettes = Object.fromEntries(Object.entries(data.palettes).map(([name, text]) => [name, decoded(text)]));
    this.ready = new Map();
  }

  once(key, make) {
    if (!this.ready.has(key)) this.ready.set(key, make());
    return this.ready.get(key);
  }

  values(name) {
    return this.once(name, () => smooth(this.cells[name]));
  }

  // Draw the heatmap of a class over the film, which the matrix places.
  draw(context, name, matrix, film, { style, colors, opacity }) {
    if (!this.cells[name]) return; // a slow method has not computed this class yet
    const palette = this.palettes[colors], onFilm = matrix.scale(film.width, film.height);
    if (style === "contours") return this.drawContours(context, name, onFilm, palette, opacity);
    const canvas = this.once(`${name} ${colors}`, () => colorWash(this.values(name), palette));
    context.save();
    context.setTransform(onFilm.scale(1 / HEATMAP_PX, 1 / HEATMAP_PX));
    context.globalAlpha = opacity;
    context.imageSmoothingQuality = "high";
    context.drawImage(canvas, 0, 0);
    context.restore();
  }

  drawContours(context, name, onFilm, palette, opacity) {
    const dense = globalThis.devicePixelRatio || 1;
    context.save();
    context.globalAlpha = Math.min(1, 0.4 + opacity); // lines are thin
    for (const level of CONTOURS) {
      const path = new Path2D();
      path.addPath(this.once(`${name} ${level}`, () => contour(this.values(name), level)), onFilm);
      for (const [color, width] of [["#000", 3.5], [`rgb(${colorOf(palette, 0.4 + 0.6 * level).join()})`, 2]]) {
        Object.assign(context, { strokeStyle: color, lineWidth: width * dense });
        context.stroke(path);
      }
    }
    context.restore();
  }
}
