// Where the film lies in its pane: zoom, center, and rotation and flip for the eye.

const ZOOM_STEP = 1.25, MOST_PX = 32; // screen pixels of one of the film's

class View {
  constructor(memory) {
    this.memory = memory;
    memory.view ??= { scale: 1, x: 0.5, y: 0.5 };
    this.turn = 0; // quarters, clockwise
    this.flipped = false;
  }

  // A film of this size in a pane of this size, both in pixels.
  place(film, pane) {
    this.film = film;
    this.pane = pane;
  }

  straighten() {
    this.turn = 0;
    this.flipped = false;
  }

  get fit() {
    const { width, height, aspect } = this.film, across = this.turn % 2 ? height * aspect : width;
    const down = this.turn % 2 ? width : height * aspect;
    return Math.min(this.pane.width / across, this.pane.height / down);
  }

  // Screen pixels of one of the film's.
  get zoom() {
    return this.fit * this.memory.view.scale;
  }

  // From the film's pixels to those of the pane.
  matrix() {
    const { x, y } = this.memory.view, { width, height, aspect } = this.film;
    return new DOMMatrix()
      .translate(this.pane.width / 2, this.pane.height / 2)
      .scale(this.zoom)
      .rotate(90 * this.turn)
      .scale(this.flipped ? -1 : 1, aspect)
      .translate(-x * width, -y * height);
  }

  toFilm(x, y) {
    return new DOMPoint(x, y).matrixTransform(this.matrix().inverse());
  }

  // Zoom so that what is under this point of the pane stays there.
  zoomAt(factor, x = this.pane.width / 2, y = this.pane.height / 2) {
    const before = this.toFilm(x, y), least = Math.min(1, 1 / this.fit), most = Math.max(1, MOST_PX / this.fit);
    this.memory.view.scale = Math.min(most, Math.max(least, this.memory.view.scale * factor));
    const after = this.toFilm(x, y);
    this.moveFilm(before.x - after.x, before.y - after.y);
  }

  pan(dx, dy) {
    const inverse = this.matrix().inverse();
    this.moveFilm(-(inverse.a * dx + inverse.c * dy), -(inverse.b * dx + inverse.d * dy));
  }

  moveFilm(dx, dy) {
    const inside = (value) => Math.min(1, Math.max(0, value)), { view } = this.memory;
    view.x = inside(view.x + dx / this.film.width);
    view.y = inside(view.y + dy / this.film.height);
  }

  reset() {
    this.memory.view = { scale: 1, x: 0.5, y: 0.5 };
  }

  toActualSize() {
    this.zoomAt(1 / this.zoom);
  }

  get isFit() {
    return this.memory.view.scale === 1;
  }

  // What stands at the top, right, bottom and left of the pane, of directions along the film's rows and columns.
  edges(right, bottom) {
    if (!right || !bottom) return null;
    const opposite = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };
    const back = (direction) => [...direction].map((letter) => opposite[letter]).join("");
    const across = this.flipped ? back(right) : right;
    const around = [back(bottom), across, bottom, back(across)];
    return around.map((_, place) => around[(place - this.turn + 4) % 4]);
  }
}
