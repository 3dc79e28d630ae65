// Film and overlay side by side. Everything here happens in the browser: no change of view asks the server.

const HEAT_PX = 256; // side of the smoothed heatmap
const STEP = 1.25, MOST = 12;
let opacity; // as the reader set it last, for the next film too

const decoded = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// Catmull-Rom, as the exported picture is enlarged; clamped at the borders.
const weights = (t) => [
  ((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1, ((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t,
];

function enlarged(line, from, stride, count, out, at, step) {
  for (let i = 0; i < HEAT_PX; i++) {
    const place = ((i + 0.5) * count) / HEAT_PX - 0.5, base = Math.floor(place), w = weights(place - base);
    let sum = 0;
    for (let k = -1; k <= 2; k++) sum += w[k + 1] * line[from + stride * Math.min(count - 1, Math.max(0, base + k))];
    out[at + step * i] = sum;
  }
}

function smooth({ rows, columns, cells }) {
  const values = Float32Array.from(decoded(cells), (cell) => cell / 255);
  const wide = new Float32Array(rows * HEAT_PX), full = new Float32Array(HEAT_PX * HEAT_PX);
  for (let row = 0; row < rows; row++) enlarged(values, row * columns, 1, columns, wide, row * HEAT_PX, 1);
  for (let column = 0; column < HEAT_PX; column++) enlarged(wide, column, HEAT_PX, rows, full, column, HEAT_PX);
  return full;
}

function picture(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

class Viewer {
  constructor(root, tell) {
    this.root = root;
    this.tell = tell;
    this.find = (selector) => root.querySelector(selector);
    this.frames = [...root.querySelectorAll(".frame")];
    this.view = { scale: 1, x: 0, y: 0 };
    this.heats = new Map();
    this.listen();
    this.watcher = new ResizeObserver(() => this.draw());
  }

  show(data) {
    this.frames.forEach((frame) => this.watcher.observe(frame));
    this.data = data;
    if (data.film_key !== this.filmKey) {
      this.filmKey = data.film_key;
      this.grey = null;
      this.resetAll();
      this.find(".opacity").value = opacity ?? Math.round(100 * data.opacity);
      this.target = data.target;
      this.load(data.film);
    }
    if (!(this.target in data.heat)) this.target = data.target;
    this.heats.clear();
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
    this.film = picture(image.naturalWidth, image.naturalHeight);
    const context = this.film.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, this.film.width, this.film.height).data;
    this.grey = new Uint8Array(pixels.length / 4);
    for (let i = 0; i < this.grey.length; i++) this.grey[i] = pixels[4 * i];
    this.paint();
  }

  fillClasses() {
    const box = this.find(".classes");
    box.querySelectorAll("label").forEach((label) => label.remove());
    for (const name of Object.keys(this.data.heat)) {
      const label = document.createElement("label"), input = document.createElement("input");
      const text = document.createElement("span");
      input.type = "radio";
      input.name = "class";
      input.value = name;
      input.checked = name === this.target;
      text.textContent = name;
      input.addEventListener("change", () => {
        this.target = name;
        this.paint();
        this.tell("target", name);
      });
      label.append(input, text);
      box.append(label);
    }
  }

  // The film through window and level, and the heat in colours; then both are drawn.
  paint() {
    if (!this.grey) return;
    const level = Number(this.find(".level").value) / 100, contrast = Number(this.find(".window").value) / 100;
    const slope = 4 ** contrast, invert = this.find(".invert").checked, table = new Uint8ClampedArray(256);
    for (let grey = 0; grey < 256; grey++) {
      const seen = invert ? 1 - grey / 255 : grey / 255;  // first: brighter is brighter in a negative too
      table[grey] = 255 * ((seen - 0.5 + level) * slope + 0.5);
    }
    const context = this.film.getContext("2d"), image = context.createImageData(this.film.width, this.film.height);
    for (let i = 0; i < this.grey.length; i++) {
      image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = table[this.grey[i]];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    this.colourHeat();
    this.name();
    this.draw();
  }

  colourHeat() {
    this.heat ??= picture(HEAT_PX, HEAT_PX);
    const context = this.heat.getContext("2d"), image = context.createImageData(HEAT_PX, HEAT_PX);
    context.clearRect(0, 0, HEAT_PX, HEAT_PX);
    const cells = this.data.heat[this.target];
    if (!cells) return; // a slow method has not looked for this class yet
    const heat = this.heats.get(this.target) ?? smooth(cells);
    this.heats.set(this.target, heat);
    for (let i = 0; i < heat.length; i++) {
      const value = Math.min(1, Math.max(0, heat[i])), shade = 3 * Math.round(255 * value);
      image.data.set([this.palette[shade], this.palette[shade + 1], this.palette[shade + 2], 255 * value], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }

  name() {
    const { names, method } = this.data, shown = this.find(".shown").checked;
    this.frames[0].setAttribute("aria-label", names.film);
    this.frames[1].setAttribute("aria-label", shown ? `${names.film} ${names.heat[this.target]}` : names.film);
    const made = this.data.heat[this.target] ? `what speaks for ${this.target}` : `looking for ${this.target} ...`;
    this.find(".of").textContent = shown ? `${method}: ${made}` : "Heatmap hidden";
  }

  draw() {
    if (!this.grey) return;
    const opacity = Number(this.find(".opacity").value) / 100, shown = this.find(".shown").checked;
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
        context.drawImage(this.heat, left, top, wide, high);
        context.globalAlpha = 1;
      }
    });
    this.find(".viewer").dataset.shows = this.filmKey;
    this.find(".scale").textContent = `${Math.round(100 * this.view.scale)} %`;
  }

  // Zoom about a place given in parts of the frame, seen from its middle.
  zoom(factor, x = 0, y = 0) {
    const before = this.view.scale, after = Math.min(MOST, Math.max(1, before * factor));
    this.move(((this.view.x - x) * after) / before + x - this.view.x, ((this.view.y - y) * after) / before + y - this.view.y, after);
  }

  move(x, y, scale = this.view.scale) {
    const most = (scale - 1) / 2, held = (value) => Math.min(most, Math.max(-most, value));
    this.view = { scale, x: held(this.view.x + x), y: held(this.view.y + y) };
    this.draw();
  }

  resetAll() {
    this.view = { scale: 1, x: 0, y: 0 };
    this.find(".level").value = this.find(".window").value = 0;
    this.find(".invert").checked = false;
  }

  listen() {
    for (const name of [".level", ".window", ".invert", ".shown"]) this.find(name).addEventListener("input", () => this.paint());
    this.find(".opacity").addEventListener("input", (event) => {
      opacity = event.target.value;
      this.draw();
    });
    this.find(".in").addEventListener("click", () => this.zoom(STEP));
    this.find(".out").addEventListener("click", () => this.zoom(1 / STEP));
    this.find(".reset").addEventListener("click", () => { this.resetAll(); this.paint(); });
    const keys = {
      "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP),
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
        if (this.root.activeElement !== frame && !event.ctrlKey) return; // the page scrolls until a film is in focus
        event.preventDefault();
        const [x, y] = at(event);
        this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, x, y);
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
  viewer.tell = setStateValue;
  viewer.show(data);
  return () => viewer.watcher.disconnect(); // the viewer keeps its zoom for as long as its element lives
}
