// The panes of a viewer: what it shows, what it remembers, and how it is drawn.

// What outlives a rerun of the page: the view and window by viewer, measurements by X-ray, the reader's preferences.
const kept = (globalThis[Symbol.for("cxr.viewer")] ??= { viewers: new Map(), measures: new Map(), unpacked: new Map() });
const PREFERENCES = "cxr-viewer"; // in this tab's storage
const FIRST_PREFERENCES = { tool: "window", layout: "double", overlay: true, opacity: 45, style: "wash", colors: "inferno" };

function preferences() {
  kept.preferences ??= { ...FIRST_PREFERENCES, ...JSON.parse(sessionStorage.getItem(PREFERENCES) ?? "{}") };
  return kept.preferences;
}

const memoryOf = (map, key, make) => map.get(key) ?? map.set(key, make()).get(key);

class Panes {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.all = (selector) => [...root.querySelectorAll(selector)];
    this.section = this.find(".viewer");
    this.frames = this.all(".frame");
    this.prefs = preferences();
    this.images = new Map();
    this.watcher = new ResizeObserver(() => this.invalidate());
    this.arrived = (event) => event.detail === this.data.film_key && this.load();
  }

  attach() {
    globalThis.addEventListener("cxr-viewer-film", this.arrived);
    this.frames.forEach((frame) => this.watcher.observe(frame));
  }

  detach() {
    globalThis.removeEventListener("cxr-viewer-film", this.arrived);
    this.watcher.disconnect();
  }

  show(data, report, trigger) {
    const isNew = data.film_key !== this.data?.film_key, before = this.data && this.tool;
    Object.assign(this, { data, report, trigger });
    if (before && (isNew || before !== this.tool)) this.say(""); // what was said of another X-ray or tool
    if (!this.memory) {
      this.memory = memoryOf(kept.viewers, data.key, () => ({}));
      this.view = new View(this.memory);
      this.gray = new Gray(this.memory);
    }
    if (isNew) this.open();
    this.gray.use(this.film, data);
    if (data.heat) {
      this.heatmaps = new Heatmaps(data.heat);
      this.followTarget(data.heat);
    }
    this.fillControls();
    this.announceResult();
    this.load();
    this.invalidate();
  }

  // The server names the class, also after another model; but a choice that it has not heard of yet stays.
  followTarget({ target, maps }) {
    if (this.chosen === target || !(this.chosen in maps)) this.chosen = null;
    if (!this.chosen) this.target = target;
  }

  // Another X-ray: zoom and window stay, rotation and flip do not.
  open() {
    this.film = null;
    this.table = null;
    this.crosshair = this.measuring = this.marking = this.chosen = null;
    this.view.straighten();
    this.measures = memoryOf(kept.measures, this.data.film_key, () => []);
    this.marks = [...(this.data.marked ?? [])];
    this.preview = null;
    const image = new Image(), { film_key } = this.data;
    image.src = this.data.preview;
    image.decode().then(() => {
      if (film_key !== this.data.film_key) return;
      this.preview = image;
      this.invalidate();
    });
  }

  // Unpack the X-ray, once its bytes are there.
  async load() {
    const { film_key } = this.data, packed = films.get(film_key);
    if (this.film || !packed) return;
    const film = memoryOf(kept.unpacked, film_key, () => unpackFilm(packed));
    for (const key of [...kept.unpacked.keys()].slice(0, -2)) kept.unpacked.delete(key);
    const ready = await film;
    if (film_key !== this.data.film_key || this.film) return;
    this.film = ready;
    this.gray.use(this.film, this.data);
    this.changeGray();
    this.section.dataset.depth = "full";
  }

  get tool() {
    return this.prefs.tool === "mark" && !this.data.marks ? "window" : this.prefs.tool;
  }

  get isDouble() {
    return Boolean(this.data.heat) && this.prefs.layout === "double";
  }

  invalidate() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.draw();
    });
  }

  changeGray() {
    this.table = null;
    this.fillWindow();
    this.invalidate();
  }

  get filmSize() {
    const { width, height, aspect } = this.data;
    return { width, height, aspect };
  }

  draw() {
    if (!this.film && !this.preview) return;
    const shown = this.frames.filter((frame) => frame.clientWidth);
    if (this.film) this.table ??= this.gray.table();
    let drawn = null;
    for (const frame of shown) {
      const canvas = frame.querySelector("canvas"), dense = globalThis.devicePixelRatio || 1;
      const width = Math.round(frame.clientWidth * dense), height = Math.round(frame.clientHeight * dense);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d");
      this.view.place(this.filmSize, { width, height });
      const matrix = this.view.matrix();
      if (drawn?.width === width && drawn?.height === height) context.putImageData(drawn, 0, 0);
      else drawn = this.drawFilm(context, matrix);
      const hasHeat = frame === this.frames[1] && this.data.heat && this.prefs.overlay;
      if (hasHeat) this.heatmaps.draw(context, this.target, matrix, this.filmSize, { ...this.prefs, opacity: this.prefs.opacity / 100 });
      this.drawNotes(context, matrix);
    }
    this.section.dataset.shows = this.data.film_key;
    if (!this.film) this.section.dataset.depth = "preview";
    this.find(".scale").textContent = this.view.isFit ? "Fit" : `${Math.round(100 * this.view.zoom)}%`;
  }

  // The film in gray; returns its image for a second pane of the same size.
  drawFilm(context, matrix) {
    const { width, height } = context.canvas;
    if (!this.film) {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.fillStyle = "#000";
      context.fillRect(0, 0, width, height);
      context.setTransform(matrix.scale(this.data.width / this.preview.naturalWidth, this.data.height / this.preview.naturalHeight));
      context.drawImage(this.preview, 0, 0);
      context.setTransform(1, 0, 0, 1, 0, 0);
      return null;
    }
    const key = `${width} ${height}`;
    const drawn = memoryOf(this.images, key, () => ({ image: context.createImageData(width, height) }));
    for (const old of [...this.images.keys()].slice(0, -2)) this.images.delete(old);
    const place = matrix.scale(this.data.width / this.film.width, this.data.height / this.film.height);
    if (drawn.place !== String(place) || drawn.table !== this.table || drawn.film !== this.film) {
      resample(drawn.image, this.film, place, this.table);
      Object.assign(drawn, { place: String(place), table: this.table, film: this.film });
    }
    context.putImageData(drawn.image, 0, 0);
    return drawn.image;
  }

  drawNotes(context, matrix) {
    const notes = new Notes(context, matrix);
    for (const { from, to } of this.measures) notes.measure(from, to, distance(from, to, this.data.spacing));
    if (this.measuring) notes.measure(this.measuring.from, this.measuring.to, distance(this.measuring.from, this.measuring.to, this.data.spacing));
    const marks = this.marking ? [...this.marks, this.marking] : this.marks;
    marks.forEach((mark, i) => notes.mark(mark, String(i + 1)));
    if (this.crosshair) notes.crosshair(this.crosshair);
    const edges = this.view.edges(this.data.right_edge, this.data.bottom_edge);
    if (edges) notes.letters(edges);
  }
}
