// What buttons, keys and drags do: to the view, the window, the tools, and to measurements and marks.

const rounded = (value, width) => Number(value.toFixed(Math.abs(width) >= 20 ? 0 : 2));

class Actions extends Panes {
  prefer(change) {
    Object.assign(this.prefs, change);
    sessionStorage.setItem(PREFERENCES, JSON.stringify(this.prefs));
    this.fillControls();
    this.invalidate();
  }

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
    this.target = this.chosen = name;
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
    this.all("[role=status]").forEach((region) => (region.textContent = "")); // it is read again when the list closes
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
      if (this.marking) this.marking.splice(2, 2, ...this.crosshair);
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

  // A click is a point; a drag, or two corners set by key, is a box.
  beginMark(place) {
    this.marking = [...this.filmPoint(place), ...this.filmPoint(place)];
  }

  dragMark(place) {
    if (this.marking) this.marking.splice(2, 2, ...this.filmPoint(place));
    this.invalidate();
  }

  finishMark() {
    if (!this.marking) return;
    const [ax, ay, bx, by] = this.marking, isBox = Math.min(Math.abs(ax - bx), Math.abs(ay - by)) * this.view.zoom >= 4;
    this.marking = null;
    this.setMarks([...this.marks, isBox ? [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)] : [ax, ay]]);
  }

  setMarks(marks) {
    if (marks.length > this.marks.length) this.say(`Mark ${marks.length}${placeOf(marks.at(-1))}`);
    this.marks = marks;
    this.fillNotes();
    this.invalidate();
    this.report("marks", { film: this.data.film_key, points: marks.map((mark) => mark.map(Math.round)) });
  }

  enter(shifted) {
    if (!this.crosshair) return false;
    if (this.tool === "mark" && this.marking) this.finishMark();
    else if (this.tool === "mark" && shifted) {
      this.marking = [...this.crosshair, ...this.crosshair];
      this.say("First corner of a box");
    } else if (this.tool === "mark") this.setMarks([...this.marks, this.crosshair]);
    else if (!this.measuring) {
      this.measuring = { from: this.crosshair, to: this.crosshair };
      this.say("First end");
    } else {
      this.addMeasure({ from: this.measuring.from, to: this.crosshair });
      this.measuring = null;
    }
    this.invalidate();
    return true;
  }

  removeLast() {
    const isMark = this.tool === "mark" && this.data.marks && this.marks.length;
    if (isMark || this.measures.length) this.say("Removed");
    if (isMark) return this.setMarks(this.marks.slice(0, -1));
    this.measures.pop();
    this.fillNotes();
    this.invalidate();
  }

  // Whether there was something to give up; otherwise the key is the page's, which may close a dialog.
  giveUp() {
    const isBusy = Boolean(this.crosshair || this.measuring || this.marking);
    this.crosshair = this.measuring = this.marking = null;
    this.invalidate();
    return isBusy;
  }
}
