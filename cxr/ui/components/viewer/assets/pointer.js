// Mouse, pen and touch on a pane: the chosen tool by the main button, window or pan by the right one, pinch to zoom.

const ONE_DRAG_PX = 320; // as far as the window doubles

class Pointers {
  constructor(frame, viewer) {
    Object.assign(this, { frame, viewer, touching: new Map(), tool: null });
    const on = (name, act) => frame.addEventListener(name, (event) => act(event), { passive: false });
    on("wheel", (event) => this.wheel(event));
    on("dblclick", () => viewer.tool !== "measure" && viewer.tool !== "mark" && viewer.fitFilm());
    on("contextmenu", (event) => event.preventDefault());
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.up(event));
  }

  // The place of an event in the pixels of the pane's canvas.
  place(event) {
    const box = this.frame.getBoundingClientRect(), dense = globalThis.devicePixelRatio || 1;
    return [(event.clientX - box.left) * dense, (event.clientY - box.top) * dense];
  }

  wheel(event) {
    if (!this.viewer.isActive(this.frame) && !event.ctrlKey) return; // the page scrolls until an image is in focus
    event.preventDefault();
    this.viewer.zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, ...this.place(event));
  }

  down(event) {
    const { tool } = this.viewer;
    this.frame.focus({ preventScroll: true });
    this.frame.setPointerCapture(event.pointerId);
    this.touching.set(event.pointerId, this.place(event));
    this.tool = { 0: tool, 1: "pan", 2: tool === "window" ? "pan" : "window" }[event.button] ?? "pan";
    if (this.touching.size > 1) this.tool = "pinch";
    if (this.tool === "pinch") this.viewer.giveUp();
    if (this.tool === "zoom") this.anchor = this.place(event);
    if (this.tool === "measure") this.viewer.beginMeasure(this.place(event));
    if (this.tool === "mark") this.viewer.beginMark(this.place(event));
    this.frame.classList.add("moving");
  }

  move(event) {
    const before = this.touching.get(event.pointerId);
    if (!before) return;
    const now = this.place(event), dx = now[0] - before[0], dy = now[1] - before[1];
    const drag = ONE_DRAG_PX * (globalThis.devicePixelRatio || 1);
    this.touching.set(event.pointerId, now);
    if (this.tool === "pinch") this.pinch(event.pointerId, before, now);
    if (this.tool === "pan") this.viewer.pan(dx, dy);
    if (this.tool === "window") this.viewer.moveWindow(dx / drag, -dy / drag);
    if (this.tool === "zoom") this.viewer.zoom(2 ** ((-2 * dy) / drag), ...this.anchor);
    if (this.tool === "measure") this.viewer.endMeasure(now);
    if (this.tool === "mark") this.viewer.dragMark(now);
  }

  pinch(id, before, now) {
    const other = [...this.touching].find(([touch]) => touch !== id)?.[1];
    if (!other) return;
    const far = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
    this.viewer.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.viewer.zoom(far(now) / Math.max(far(before), 1), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  up(event) {
    if (!this.touching.delete(event.pointerId)) return;
    if (this.tool === "measure") this.viewer.finishMeasure();
    if (this.tool === "mark") this.viewer.finishMark();
    if (!this.touching.size) this.frame.classList.remove("moving");
  }
}
