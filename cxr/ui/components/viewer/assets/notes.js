// What is drawn over the film: measurements, marks, the crosshair of the keyboard, and the letters at the edges.

const INK = "#ffd84d", PAPER = "#000";

// The distance between two points of the film, in words.
function distance([ax, ay], [bx, by], spacing) {
  const dx = bx - ax, dy = by - ay;
  if (!spacing) return `${Math.hypot(dx, dy).toFixed(0)} px, not calibrated`;
  const mm = Math.hypot(dx * spacing.column, dy * spacing.row);
  return `${mm.toFixed(1)} mm${spacing.note ? ` ${spacing.note}` : ""}`;
}

// Where a mark is, in words.
function placeOf(mark) {
  const [ax, ay, bx, by] = mark.map(Math.round);
  return mark.length === 4 ? `: box from ${ax}, ${ay} to ${bx}, ${by} px` : ` at ${ax}, ${ay} px`;
}

class Notes {
  constructor(context, matrix) {
    this.context = context;
    this.matrix = matrix;
    this.dense = globalThis.devicePixelRatio || 1;
    Object.assign(context, { font: `600 ${13 * this.dense}px sans-serif`, textBaseline: "middle", lineJoin: "round" });
  }

  at([x, y]) {
    const point = new DOMPoint(x, y).matrixTransform(this.matrix);
    return [point.x, point.y];
  }

  // Dark below, bright above: visible on black and on white.
  stroke(draw) {
    for (const [color, width] of [[PAPER, 4], [INK, 1.75]]) {
      Object.assign(this.context, { strokeStyle: color, lineWidth: width * this.dense });
      this.context.beginPath();
      draw(this.context);
      this.context.stroke();
    }
  }

  text(words, x, y, align = "left") {
    Object.assign(this.context, { textAlign: align, strokeStyle: PAPER, lineWidth: 4 * this.dense, fillStyle: INK });
    const wide = this.context.measureText(words).width, edge = 6 * this.dense, { width } = this.context.canvas;
    const from = align === "left" ? Math.max(edge, Math.min(x, width - wide - edge)) : x;
    this.context.strokeText(words, from, y);
    this.context.fillText(words, from, y);
  }

  measure(from, to, words) {
    const [ax, ay] = this.at(from), [bx, by] = this.at(to), tick = 6 * this.dense;
    const long = Math.hypot(bx - ax, by - ay) || 1, nx = (-(by - ay) / long) * tick, ny = ((bx - ax) / long) * tick;
    this.stroke((context) => {
      for (const [x1, y1, x2, y2] of [[ax, ay, bx, by], [ax - nx, ay - ny, ax + nx, ay + ny], [bx - nx, by - ny, bx + nx, by + ny]]) {
        context.moveTo(x1, y1);
        context.lineTo(x2, y2);
      }
    });
    this.text(words, bx + 10 * this.dense, by + 14 * this.dense);
  }

  // A point as a circle, a box as it was drawn, also where the view is turned.
  mark(mark, words) {
    if (mark.length === 4) return this.box(mark, words);
    const point = mark;
    const [x, y] = this.at(point), radius = 11 * this.dense;
    this.stroke((context) => context.arc(x, y, radius, 0, 2 * Math.PI));
    this.text(words, x, y, "center");
  }

  box([ax, ay, bx, by], words) {
    const corners = [[ax, ay], [bx, ay], [bx, by], [ax, by]].map((corner) => this.at(corner));
    this.stroke((context) => {
      corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
    });
    const left = Math.min(...corners.map(([x]) => x)), top = Math.min(...corners.map(([, y]) => y));
    this.text(words, left + 8 * this.dense, top + 12 * this.dense);
  }

  crosshair(point) {
    const [x, y] = this.at(point), arm = 14 * this.dense;
    this.stroke((context) => {
      context.moveTo(x - arm, y);
      context.lineTo(x + arm, y);
      context.moveTo(x, y - arm);
      context.lineTo(x, y + arm);
    });
  }

  letters([top, right, bottom, left]) {
    const { width, height } = this.context.canvas, edge = 14 * this.dense;
    this.text(top, width / 2, edge, "center");
    this.text(bottom, width / 2, height - edge, "center");
    this.text(left, edge, height / 2, "left");
    this.text(right, width - edge, height / 2, "right");
  }
}
