// The viewer: panes, controls and what they remember. Only a class, a mark and a step to another X-ray reach the server.

// What outlives a rerun of the page: the view and window by viewer, measurements by X-ray, the reader's preferences.
const kept = (globalThis[Symbol.for("cxr.viewer")] ??= { viewers: new Map(), measures: new Map(), unpacked: new Map() });
const PREFERENCES = "cxr-viewer"; // in this tab's storage
const FIRST_PREFERENCES = { tool: "window", layout: "double", overlay: true, opacity: 45, style: "wash", colors: "inferno" };
const WINDOW_WORDS = { default: "Default", auto: "Auto", lung: "Lung", bone: "Bone", full: "Full range" };

function preferences() {
  kept.preferences ??= { ...FIRST_PREFERENCES, ...JSON.parse(sessionStorage.getItem(PREFERENCES) ?? "{}") };
  return kept.preferences;
}

const memoryOf = (map, key, make) => map.get(key) ?? map.set(key, make()).get(key);
const rounded = (value, width) => Number(value.toFixed(Math.abs(width) >= 20 ? 0 : 2));

class Viewer {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.all = (selector) => [...root.querySelectorAll(selector)];
    this.section = this.find(".viewer");
    this.frames = this.all(".frame");
    this.prefs = preferences();
    this.images = new Map();
    this.settleToolbars = this.all("[role=toolbar]").map((bar) => rove(bar));
    this.watcher = new ResizeObserver(() => this.invalidate());
    this.arrived = (event) => event.detail === this.data.film_key && this.load();
    fillKeys(this.find(".keys dl"));
    this.listen();
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
    const isNew = data.film_key !== this.data?.film_key;
    Object.assign(this, { data, report, trigger });
    if (!this.memory) {
      this.memory = memoryOf(kept.viewers, data.key, () => ({}));
      this.view = new View(this.memory);
      this.gray = new Gray(this.memory);
    }
    if (isNew) this.open();
    this.gray.use(this.film, data);
    if (data.heat) {
      this.heatmaps = new Heatmaps(data.heat);
      if (isNew || !(this.target in data.heat.maps)) this.target = data.heat.target;
    }
    this.fillControls();
    this.announceResult();
    this.load();
    this.invalidate();
  }

  // Another X-ray: zoom and window stay, rotation and flip do not.
  open() {
    this.film = null;
    this.table = null;
    this.crosshair = null;
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

  prefer(change) {
    Object.assign(this.prefs, change);
    sessionStorage.setItem(PREFERENCES, JSON.stringify(this.prefs));
    this.fillControls();
    this.invalidate();
  }

  // ---- drawing

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
    const key = `${width} ${height}`, image = memoryOf(this.images, key, () => context.createImageData(width, height));
    for (const old of [...this.images.keys()].slice(0, -2)) this.images.delete(old);
    resample(image, this.film, matrix.scale(this.data.width / this.film.width, this.data.height / this.film.height), this.table);
    context.putImageData(image, 0, 0);
    return image;
  }

  drawNotes(context, matrix) {
    const notes = new Notes(context, matrix);
    for (const { from, to } of this.measures) notes.measure(from, to, distance(from, to, this.data.spacing));
    if (this.measuring) notes.measure(this.measuring.from, this.measuring.to, distance(this.measuring.from, this.measuring.to, this.data.spacing));
    this.marks.forEach((point, i) => notes.mark(point, String(i + 1)));
    if (this.crosshair) notes.crosshair(this.crosshair);
    const edges = this.view.edges(this.data.right_edge, this.data.bottom_edge);
    if (edges) notes.letters(edges);
  }

  // ---- what controls and keys do

  isActive(frame) {
    return this.root.activeElement === frame;
  }

  zoom(factor, x, y) {
    this.view.zoomAt(factor, x, y);
    this.tellView();
  }

  pan(dx, dy) {
    this.view.pan(dx, dy);
    this.invalidate();
  }

  fitFilm() {
    this.view.reset();
    this.tellView();
  }

  actualSize() {
    this.view.toActualSize();
    this.tellView();
  }

  tellView() {
    this.invalidate();
    this.say(this.view.isFit ? "The whole X-ray" : `Zoom ${Math.round(100 * this.view.zoom)}%`);
  }

  rotate(quarters) {
    this.view.turn = (this.view.turn + quarters + 4) % 4;
    this.tellTurn();
  }

  flip() {
    this.view.flipped = !this.view.flipped;
    this.tellTurn();
  }

  tellTurn() {
    const { turn, flipped } = this.view;
    this.fillControls();
    this.invalidate();
    this.say(turn || flipped ? `Rotated ${90 * turn}°${flipped ? ", flipped" : ""}, for the eye only` : "Upright");
  }

  moveWindow(wider, brighter) {
    if (!this.film) return;
    this.gray.drag(wider, brighter);
    this.changeGray();
    this.tellWindow();
  }

  choosePreset(code) {
    if (!this.data.windows.some((window) => window.code === code)) return;
    this.gray.choose(code);
    this.changeGray();
    this.tellWindow();
  }

  tellWindow() {
    const { center, width } = this.gray.window;
    this.say(`Level ${rounded(center, width)}, width ${rounded(width, width)}`);
  }

  toggleInvert() {
    this.memory.invert = !this.memory.invert;
    this.changeGray();
  }

  chooseTool(tool) {
    this.crosshair = null;
    this.prefer({ tool });
    this.say(`${this.find(`button[data-tool=${tool}]`).textContent} tool`);
  }

  toggleHeatmap() { this.data.heat && this.prefer({ overlay: !this.prefs.overlay }); }
  toggleStyle() { this.data.heat && this.prefer({ style: this.prefs.style === "wash" ? "contours" : "wash" }); }
  toggleLayout() { this.data.heat && this.prefer({ layout: this.isDouble ? "single" : "double" }); }
  changeOpacity(by) { this.prefer({ opacity: Math.min(100, Math.max(0, this.prefs.opacity + by)) }); }

  nextTarget() {
    const names = Object.keys(this.data.heat?.maps ?? {});
    if (names.length) this.chooseTarget(names[(names.indexOf(this.target) + 1) % names.length]);
  }

  chooseTarget(name) {
    this.target = name;
    this.fillControls();
    this.invalidate();
    this.report("target", { film: this.data.film_key, name });
  }

  step(by) {
    if (by < 0 ? this.data.previous : this.data.next) this.trigger("step", by);
  }

  resetAll() {
    this.view.reset();
    this.view.straighten();
    this.memory.window = { ...PLAIN_WINDOW };
    this.memory.invert = false;
    this.crosshair = null;
    this.fillControls();
    this.changeGray();
    this.say("View and window reset");
  }

  toggleFullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.section.requestFullscreen?.();
  }

  showKeys() {
    this.find(".keys").showModal();
  }

  arrow(dx, dy, shifted) {
    const frame = this.frames.find((one) => this.isActive(one)) ?? this.frames[0], dense = globalThis.devicePixelRatio || 1;
    if (this.tool === "measure" || this.tool === "mark") {
      const step = shifted ? 1 : Math.max(1, (12 * dense) / this.view.zoom);
      const { x, y } = this.memory.view, [cx, cy] = this.crosshair ?? [x * this.data.width, y * this.data.height];
      const inverse = this.view.matrix().inverse(), long = Math.hypot(inverse.a, inverse.b);
      const [mx, my] = [(inverse.a * dx + inverse.c * dy) / long, (inverse.b * dx + inverse.d * dy) / long];
      this.crosshair = this.inside([cx + step * mx, cy + step * my]);
      if (this.measuring) this.measuring.to = this.crosshair;
      this.invalidate();
    } else if (shifted) this.moveWindow(WINDOW_STEP * dx, WINDOW_STEP * -dy);
    else this.pan(-dx * PAN_STEP * frame.clientWidth * dense, -dy * PAN_STEP * frame.clientHeight * dense);
  }

  // ---- measurements and marks, in the film's pixels

  inside([x, y]) {
    return [Math.min(this.data.width, Math.max(0, x)), Math.min(this.data.height, Math.max(0, y))];
  }

  filmPoint([x, y]) {
    const point = this.view.toFilm(x, y);
    return this.inside([point.x, point.y]);
  }

  beginMeasure(place) {
    this.measuring = { from: this.filmPoint(place), to: this.filmPoint(place) };
  }

  endMeasure(place) {
    if (this.measuring) this.measuring.to = this.filmPoint(place);
    this.invalidate();
  }

  finishMeasure() {
    const { from, to } = this.measuring ?? {};
    this.measuring = null;
    if (from && Math.hypot(from[0] - to[0], from[1] - to[1]) * this.view.zoom >= 4) this.addMeasure({ from, to });
    this.invalidate();
  }

  addMeasure(measure) {
    this.measures.push(measure);
    this.fillNotes();
    this.say(distance(measure.from, measure.to, this.data.spacing));
  }

  addMark(place) {
    this.setMarks([...this.marks, this.filmPoint(place)]);
  }

  setMarks(marks) {
    this.marks = marks;
    this.fillNotes();
    this.invalidate();
    this.report("marks", { film: this.data.film_key, points: marks.map((point) => point.map(Math.round)) });
  }

  enter() {
    if (!this.crosshair) return false;
    if (this.tool === "mark") this.setMarks([...this.marks, this.crosshair]);
    else if (!this.measuring) this.measuring = { from: this.crosshair, to: this.crosshair };
    else {
      this.addMeasure({ from: this.measuring.from, to: this.crosshair });
      this.measuring = null;
    }
    this.invalidate();
    return true;
  }

  removeLast() {
    if (this.tool === "mark" && this.marks.length) return this.setMarks(this.marks.slice(0, -1));
    this.measures.pop();
    this.fillNotes();
    this.invalidate();
  }

  // Whether there was something to give up; otherwise the key is the page's, which may close a dialog.
  giveUp() {
    const isBusy = Boolean(this.crosshair || this.measuring);
    this.crosshair = this.measuring = null;
    this.invalidate();
    return isBusy;
  }

  // ---- controls

  say(words) {
    clearTimeout(this.saying); // a drag is told when it rests
    this.saying = setTimeout(() => (this.find(".status").textContent = words), 120);
  }

  announceResult() {
    const { result } = this.data;
    if (result === this.announced) return;
    this.announced = result;
    setTimeout(() => (this.find(".result").textContent = result), 150); // a region that is there already is read aloud
  }

  fillControls() {
    const { data, prefs } = this, heat = Boolean(data.heat);
    for (const button of this.all("button[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === this.tool);
    for (const frame of this.frames) {
      frame.dataset.tool = this.tool;
      frame.style.setProperty("--shape", `${data.width} / ${data.height * data.aspect}`);
    }
    const act = (name) => this.find(`[data-act="${name}"]`);
    this.find("button[data-tool=mark]").hidden = !data.marks;
    act("flip").setAttribute("aria-pressed", this.view.flipped);
    act("layout").setAttribute("aria-pressed", this.isDouble);
    act("layout").hidden = this.find(".heat").hidden = !heat;
    this.find(".steps").hidden = !data.previous && !data.next;
    act("previous").disabled = !data.previous;
    act("next").disabled = !data.next;
    this.find(".turned").hidden = !this.view.turn && !this.view.flipped;
    this.find(".panes").classList.toggle("single", !this.isDouble);
    this.all("figure").forEach((figure, i) => (figure.hidden = !this.isDouble && (heat ? i === 0 : i === 1)));
    if (heat) this.fillHeat();
    this.fillWindow();
    this.fillNotes();
    this.fillFacts();
    this.describe();
    this.settleToolbars.forEach((settle) => settle());
  }

  fillHeat() {
    const { heat } = this.data, box = this.find(".classes"), { prefs } = this;
    this.find(".overlay").checked = prefs.overlay;
    this.find(".opacity").value = prefs.opacity;
    this.find(".style").value = prefs.style;
    const names = Object.keys(heat.palettes);
    this.find(".colors").replaceChildren(...names.map((name) => new Option(heat.palette_names[name], name, false, name === prefs.colors)));
    if (!(prefs.colors in heat.palettes)) prefs.colors = names[0];
    if (box.dataset.names !== Object.keys(heat.maps).join()) this.fillClasses(box);
    for (const input of box.querySelectorAll("input")) input.checked = input.value === this.target;
    const ramp = this.find(".ramp").getContext("2d"), palette = this.heatmaps.palettes[prefs.colors];
    const image = ramp.createImageData(128, 1);
    for (let i = 0; i < 128; i++) image.data.set([...colorOf(palette, i / 127), 255], 4 * i);
    ramp.putImageData(image, 0, 0);
    this.find(".legend").hidden = !prefs.overlay;
    this.find(".levels").textContent = prefs.style === "contours" ? ` of this heatmap; lines at ${CONTOURS.map((level) => `${100 * level}%`).join(", ")}` : "";
  }

  fillClasses(box) {
    const { heat } = this.data;
    box.dataset.names = Object.keys(heat.maps).join();
    box.querySelectorAll("label").forEach((label) => label.remove());
    for (const name of Object.keys(heat.maps)) {
      const label = document.createElement("label"), text = document.createElement("span");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "class", value: name });
      text.textContent = heat.labels[name].name;
      if (heat.labels[name].group) label.className = "group";
      input.addEventListener("change", () => this.chooseTarget(name));
      label.append(input, text);
      box.append(label);
    }
  }

  fillWindow() {
    const { center, width } = this.gray.window, select = this.find(".preset");
    const words = (code) => WINDOW_WORDS[code] ?? `Header window ${code.split("-")[1]}`;
    const options = this.data.windows.map(({ code }) => new Option(words(code), code));
    if (this.gray.isMoved) options.unshift(new Option("Set by hand", ""));
    select.replaceChildren(...options);
    select.value = this.gray.isMoved ? "" : this.gray.preset.code;
    for (const [name, value] of [[".level", center], [".width", width]]) {
      const field = this.find(name);
      if (this.root.activeElement !== field) field.value = rounded(value, width);
      field.disabled = !this.film;
    }
    select.disabled = this.find(".invert").disabled = !this.film;
    this.find(".invert").checked = this.memory.invert;
    const model = this.gray.isModels && !this.memory.invert ? "As the model reads it." : "For the eye; the model reads the default.";
    const reduced = this.film?.reduced > 1 ? ` Shown at 1/${this.film.reduced} of its size.` : "";
    this.find(".gray-note").textContent = this.film ? `${this.data.bits} bit. ${model}${reduced}` : "Loading the full gray depth ...";
  }

  fillNotes() {
    const entries = [
      ...this.measures.map(({ from, to }, i) => [distance(from, to, this.data.spacing), () => this.measures.splice(i, 1)]),
      ...this.marks.map((point, i) => [`Mark ${i + 1} at ${point.map(Math.round).join(", ")} px`, () => this.setMarks(this.marks.filter((_, k) => k !== i))]),
    ];
    this.find(".notes").replaceChildren(...entries.map(([words, remove]) => {
      const item = document.createElement("li"), button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: "Remove" });
      button.setAttribute("aria-label", `Remove: ${words}`);
      button.addEventListener("click", () => {
        remove();
        this.fillNotes();
        this.invalidate();
      });
      item.append(words, button);
      return item;
    }));
  }

  fillFacts() {
    const { facts, maker } = this.data, rows = this.find(".maker").checked && maker ? [...facts, ["Manufacturer", maker]] : facts;
    this.find(".facts").hidden = !facts.length;
    this.find(".facts .tick").hidden = !maker;
    this.find(".facts dl").replaceChildren(...rows.flatMap(([name, value]) => {
      const term = document.createElement("dt"), words = document.createElement("dd");
      term.textContent = name;
      words.textContent = value;
      return [term, words];
    }));
  }

  describe() {
    const { alt, heat } = this.data, shown = heat && this.prefs.overlay;
    this.frames[0].setAttribute("aria-label", alt);
    this.frames[1].setAttribute("aria-label", shown ? `${alt} ${heat.alt[this.target]}` : alt);
    if (!heat) return;
    const evidence = `evidence for ${heat.labels[this.target].inline}`;
    const words = heat.maps[this.target] ? evidence : `computing ${evidence} ...`;
    this.find(".method").textContent = shown ? `${heat.method}: ${words}` : "Heatmap hidden";
  }

  listen() {
    const acts = {
      "zoom-out": () => this.zoom(1 / ZOOM_STEP), "zoom-in": () => this.zoom(ZOOM_STEP), fit: () => this.fitFilm(),
      actual: () => this.actualSize(), left: () => this.rotate(-1), right: () => this.rotate(1), flip: () => this.flip(),
      layout: () => this.toggleLayout(), fullscreen: () => this.toggleFullscreen(), reset: () => this.resetAll(),
      keys: () => this.showKeys(), previous: () => this.step(-1), next: () => this.step(1),
      "close-keys": () => this.find(".keys").close(),
    };
    for (const button of this.all("[data-act]")) button.addEventListener("click", () => acts[button.dataset.act]());
    for (const button of this.all("button[data-tool]")) button.addEventListener("click", () => this.chooseTool(button.dataset.tool));
    const on = (selector, name, act) => this.find(selector).addEventListener(name, (event) => act(event.target));
    on(".overlay", "input", (box) => this.prefer({ overlay: box.checked }));
    on(".opacity", "input", (range) => this.prefer({ opacity: Number(range.value) }));
    on(".style", "input", (select) => this.prefer({ style: select.value }));
    on(".colors", "input", (select) => this.prefer({ colors: select.value }));
    on(".preset", "input", (select) => select.value && this.choosePreset(select.value));
    on(".invert", "input", () => this.toggleInvert());
    on(".maker", "input", () => this.fillFacts());
    for (const name of [".level", ".width"]) on(name, "change", () => this.typeWindow());
    for (const frame of this.frames) new Pointers(frame, this);
    this.section.addEventListener("keydown", (event) => {
      const { target } = event, isField = target.matches("select, textarea, input:not([type=checkbox], [type=radio])");
      if (isField || target.closest("dialog")) return event.stopPropagation();
      if (!pressed(this, event, this.frames.includes(target))) return;
      event.preventDefault();
      event.stopPropagation(); // R and C mean something to the page as well
    });
  }

  typeWindow() {
    const center = Number(this.find(".level").value), width = Number(this.find(".width").value);
    if (Number.isFinite(center) && width > 0) this.gray.window = { center, width };
    this.changeGray();
    this.tellWindow();
  }
}

const viewers = new WeakMap();

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  const viewer = viewers.get(parentElement) ?? new Viewer(parentElement);
  viewers.set(parentElement, viewer);
  viewer.attach();
  viewer.show(data, setStateValue, setTriggerValue);
  return () => viewer.detach();
}
