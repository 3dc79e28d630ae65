// The viewer: its controls show what holds. Only a class, a method, a mark and a step to another X-ray reach the server.

const WINDOW_WORDS = { default: "Default", auto: "Auto", lung: "Lung", bone: "Bone", full: "Full range" };
const STYLES = { wash: "color wash", contours: "contours" };

// A screen reader tells whatever changes in a list, also far from the focus: so it changes only where it must.
function fillList(select, entries, chosen) {
  const before = [...select.options].map((option) => [option.value, option.text]);
  if (JSON.stringify(before) !== JSON.stringify(entries)) {
    select.replaceChildren(...entries.map(([value, words]) => new Option(words, value, false, value === chosen)));
  }
  if (select.value !== chosen) select.value = chosen;
}

class Viewer extends Actions {
  constructor(root) {
    super(root);
    this.settleToolbars = this.all("[role=toolbar]").map((bar) => rove(bar));
    fillKeys(this.find(".keys dl"));
    this.listen();
  }

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
    this.showPanes(heat);
    if (heat) this.fillHeat();
    this.fillWindow();
    this.fillNotes();
    this.fillFacts();
    this.describe();
    this.settleToolbars.forEach((settle) => settle());
  }

  // The focus goes on in the other image where its own one is hidden.
  showPanes(heat) {
    const focused = this.frames.findIndex((frame) => this.isActive(frame));
    this.all("figure").forEach((figure, i) => (figure.hidden = !this.isDouble && (heat ? i === 0 : i === 1)));
    if (focused >= 0 && !this.frames[focused].clientWidth) this.frames[1 - focused].focus();
  }

  fillHeat() {
    const { heat } = this.data, box = this.find(".classes"), { prefs } = this;
    this.find(".overlay").checked = prefs.overlay;
    this.find(".opacity").value = prefs.opacity;
    const names = Object.keys(heat.palettes);
    if (!(prefs.colors in heat.palettes)) prefs.colors = names[0];
    fillList(this.find(".style"), Object.entries(STYLES), prefs.style);
    fillList(this.find(".colors"), names.map((name) => [name, heat.palette_names[name]]), prefs.colors);
    const methods = Object.entries(heat.methods);
    this.find(".methods").hidden = !methods.length;
    fillList(this.find(".method-choice"), methods, (methods.find(([, name]) => name === heat.method) ?? methods[0])?.[0] ?? "");
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
    const presets = this.data.windows.map(({ code }) => [code, words(code)]);
    if (this.gray.isMoved) presets.unshift(["", "Set by hand"]);
    fillList(select, presets, this.gray.isMoved ? "" : this.gray.preset.code);
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
      ...this.marks.map((mark, i) => [`Mark ${i + 1}${placeOf(mark)}`, this.data.marks ? () => this.setMarks(this.marks.filter((_, k) => k !== i)) : null]),
    ];
    this.find(".notes").replaceChildren(...entries.map(([words, remove]) => {
      const item = document.createElement("li"), button = document.createElement("button");
      item.append(words);
      if (!remove) return item; // of an answer that was committed
      Object.assign(button, { type: "button", textContent: "Remove" });
      button.setAttribute("aria-label", `Remove: ${words}`);
      button.addEventListener("click", () => {
        remove();
        this.fillNotes();
        this.invalidate();
      });
      item.append(button);
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
    on(".method-choice", "input", (select) => this.trigger("method", select.value));
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

  // What is no number, as a field that was emptied, changes nothing: both fields show again what holds.
  typeWindow() {
    const fields = [this.find(".level"), this.find(".width")], [center, width] = fields.map((field) => field.valueAsNumber);
    if (Number.isFinite(center) && width > 0) this.gray.window = { center, width };
    const now = this.gray.window;
    fields.forEach((field, i) => (field.value = rounded(i ? now.width : now.center, now.width)));
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
