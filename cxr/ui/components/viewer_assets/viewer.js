// X-ray and overlay side by side. Everything here happens in the browser: no change of view contacts the server.

const HEATMAP_PX = 256; // side of the smoothed heatmap
const ZOOM_STEP = 1.25, MAX_ZOOM = 12;
let opacity; // as the reader set it last, for the next X-ray too

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
  return full;
}

function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

class Viewer {
  constructor(root, report) {
    this.root = root;
    this.report = report;
    this.find = (selector) => root.querySelector(selector);
    this.frames = [...root.querySelectorAll(".frame")];
    this.view = { scale: 1, x: 0, y: 0 };
    this.smoothed = new Map();
    this.listen();
    this.watcher = new ResizeObserver(() => this.draw());
  }

  show(data) {
    this.frames.forEach((frame) => this.watcher.observe(frame));
    this.data = data;
    if (data.film_key !== this.filmKey) {
      this.filmKey = data.film_key;
      this.gray = null;
      this.resetAll();
      this.find(".opacity").value = opacity ?? Math.round(100 * data.opacity);
      this.target = data.target;
      this.load(data.film);
    }
    if (!(this.target in data.heatmaps)) this.target = data.target;
    this.smoothed.clear();
    this.palette = decoded(data.palette);
    this.fillClasses();
    this.frames.forEach((frame) => frame.style.setProperty("--shape", `${data.width} / ${data.height}`));
    this.paint();
  }

  async load(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    if (url !== this.data.film) return;
    this.film = newCanvas(image.naturalWidth, image.naturalHeight);
    const context = this.film.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, this.film.width, this.film.height).data;
    this.gray = new Uint8Array(pixels.length / 4);
    for (let i = 0; i < this.gray.length; i++) this.gray[i] = pixels[4 * i];
    this.paint();
  }

  fillClasses() {
    const box = this.find(".classes");
    box.querySelectorAll("label").forEach((label) => label.remove());
    for (const name of Object.keys(this.data.heatmaps)) {
      const label = document.createElement("label"), input = document.createElement("input");
      const text = document.createElement("span");
      input.type = "radio";
      input.name = "class";
      input.value = name;
      input.checked = name === this.target;
      text.textContent = this.data.labels[name].name;
      input.addEventListener("change", () => {
        this.target = name;
        this.paint();
        this.report("target", name);
      });
      label.append(input, text);
      box.append(label);
    }
  }

  // The X-ray through window and level, and the heatmap in color; then both are drawn.
  paint() {
    if (!this.gray) return;
    const level = Number(this.find(".level").value) / 100, width = Number(this.find(".width").value) / 100;
    const slope = 4 ** -width, invert = this.find(".invert").checked, table = new Uint8ClampedArray(256);
    for (let gray = 0; gray < 256; gray++) {
      const value = invert ? 1 - gray / 255 : gray / 255; // first, so that a higher level darkens an inverted image too
      table[gray] = 255 * ((value - 0.5 - level) * slope + 0.5);
    }
    const context = this.film.getContext("2d"), image = context.createImageData(this.film.width, this.film.height);
    for (let i = 0; i < this.gray.length; i++) {
      image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = table[this.gray[i]];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    this.colorHeatmap();
    this.describe();
    this.draw();
  }

  colorHeatmap() {
    this.heatmap ??= newCanvas(HEATMAP_PX, HEATMAP_PX);
    const context = this.heatmap.getContext("2d"), image = context.createImageData(HEATMAP_PX, HEATMAP_PX);
    context.clearRect(0, 0, HEATMAP_PX, HEATMAP_PX);
    const cells = this.data.heatmaps[this.target];
    if (!cells) return; // a slow method has not computed this class yet
    const values = this.smoothed.get(this.target) ?? smooth(cells);
    this.smoothed.set(this.target, values);
    for (let i = 0; i < values.length; i++) {
      const value = Math.min(1, Math.max(0, values[i])), shade = 3 * Math.round(255 * value);
      image.data.set([this.palette[shade], this.palette[shade + 1], this.palette[shade + 2], 255 * value], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }

  describe() {
    const { alt, labels, method } = this.data, shown = this.find(".overlay").checked;
    this.frames[0].setAttribute("aria-label", alt.film);
    this.frames[1].setAttribute("aria-label", shown ? `${alt.film} ${alt.heatmaps[this.target]}` : alt.film);
    const evidence = `evidence for ${labels[this.target].inline}`;
    const words = this.data.heatmaps[this.target] ? evidence : `computing ${evidence} ...`;
    this.find(".method").textContent = shown ? `${method}: ${words}` : "Heatmap hidden";
  }

  draw() {
    if (!this.gray) return;
    const opacity = Number(this.find(".opacity").value) / 100, shown = this.find(".overlay").checked;
    this.frames.forEach((frame, i) => {
      const canvas = frame.querySelector("canvas"), dense = window.devicePixelRatio || 1;
      const width = Math.round(frame.clientWidth * dense), height = Math.round(frame.clientHeight * dense);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d"), { scale, x, y } = this.view;
      const fit = Math.min(width / this.film.width, height / this.film.height);
      const wide = this.film.width * fit * scale, high = this.film.height * fit * scale;
      const left = width / 2 + x * width - wide / 2, top = height / 2 + y * height - high / 2;
      context.fillStyle = "#000";
      context.fillRect(0, 0, width, height);
      context.imageSmoothingQuality = "high";
      context.drawImage(this.film, left, top, wide, high);
      if (i === 1 && shown) {
        context.globalAlpha = opacity;
        context.drawImage(this.heatmap, left, top, wide, high);
        context.globalAlpha = 1;
      }
    });
    this.find(".viewer").dataset.shows = this.filmKey;
    this.find(".scale").textContent = this.view.scale === 1 ? "Fit" : `${Math.round(100 * this.view.scale)}%`;
  }

  // Zoom about a point given in fractions of the frame, from its center.
  zoom(factor, x = 0, y = 0) {
    const before = this.view.scale, after = Math.min(MAX_ZOOM, Math.max(1, before * factor));
    this.move(((this.view.x - x) * after) / before + x - this.view.x, ((this.view.y - y) * after) / before + y - this.view.y, after);
  }

  move(x, y, scale = this.view.scale) {
    const most = (scale - 1) / 2, held = (value) => Math.min(most, Math.max(-most, value));
    this.view = { scale, x: held(this.view.x + x), y: held(this.view.y + y) };
    this.draw();
  }

  resetAll() {
    this.view = { scale: 1, x: 0, y: 0 };
    this.find(".level").value = this.find(".width").value = 0;
    this.find(".invert").checked = false;
  }

  listen() {
    for (const name of [".level", ".width", ".invert", ".overlay"]) this.find(name).addEventListener("input", () => this.paint());
    this.find(".opacity").addEventListener("input", (event) => {
      opacity = event.target.value;
      this.draw();
    });
    this.find(".in").addEventListener("click", () => this.zoom(ZOOM_STEP));
    this.find(".out").addEventListener("click", () => this.zoom(1 / ZOOM_STEP));
    this.find(".reset").addEventListener("click", () => { this.resetAll(); this.paint(); });
    const keys = {
      "+": () => this.zoom(ZOOM_STEP), "=": () => this.zoom(ZOOM_STEP), "-": () => this.zoom(1 / ZOOM_STEP),
      0: () => { this.resetAll(); this.paint(); },
      ArrowLeft: () => this.move(0.1, 0), ArrowRight: () => this.move(-0.1, 0),
      ArrowUp: () => this.move(0, 0.1), ArrowDown: () => this.move(0, -0.1),
    };
    for (const frame of this.frames) {
      const at = (event) => {
        const box = frame.getBoundingClientRect();
        return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5, box];
      };
      const touching = new Map();
      frame.addEventListener("keydown", (event) => {
        if (!(event.key in keys) || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        keys[event.key]();
      });
      frame.addEventListener("wheel", (event) => {
        if (this.root.activeElement !== frame && !event.ctrlKey) return; // the page scrolls until an image is in focus
        event.preventDefault();
        const [x, y] = at(event);
        this.zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, x, y);
      }, { passive: false });
      frame.addEventListener("dblclick", () => { this.resetAll(); this.paint(); });
      frame.addEventListener("pointerdown", (event) => {
        frame.setPointerCapture(event.pointerId);
        frame.classList.add("moving");
        touching.set(event.pointerId, at(event));
      });
      frame.addEventListener("pointermove", (event) => {
        const before = touching.get(event.pointerId);
        if (!before) return;
        const now = at(event), other = [...touching].find(([id]) => id !== event.pointerId)?.[1];
        touching.set(event.pointerId, now);
        if (!other) return this.move(now[0] - before[0], now[1] - before[1]);
        const far = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
        this.zoom(far(now) / Math.max(far(before), 0.01), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      });
      for (const end of ["pointerup", "pointercancel"]) {
        frame.addEventListener(end, (event) => {
          touching.delete(event.pointerId);
          frame.classList.remove("moving");
        });
      }
    }
  }
}

const viewers = new WeakMap();

export default function ({ parentElement, data, setStateValue }) {
  const viewer = viewers.get(parentElement) ?? new Viewer(parentElement, setStateValue);
  viewers.set(parentElement, viewer);
  viewer.report = setStateValue;
  viewer.show(data);
  return () => viewer.watcher.disconnect(); // the viewer keeps its zoom while its element exists
}
