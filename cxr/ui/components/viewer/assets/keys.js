// Keys: what each does, in the order of the list that `?` shows.

const PRESETS = ["default", "auto", "lung", "bone", "full"];
const PAN_STEP = 0.08, WINDOW_STEP = 0.1; // parts of the pane, of the window

// What a screen reader is told where a key changes a control that does not have the focus.
const ofHeat = (words) => (viewer) => viewer.data.heat && words(viewer);
const opacity = ofHeat((viewer) => `Opacity ${viewer.prefs.opacity}%`);

// Each entry: keys, words for the list, act, what a screen reader says afterwards. Arrows need an image in focus, the
// others only the viewer.
const KEYS = [
  [["w"], "Window tool", (viewer) => viewer.chooseTool("window")],
  [["v"], "Pan tool", (viewer) => viewer.chooseTool("pan")],
  [["z"], "Zoom tool", (viewer) => viewer.chooseTool("zoom")],
  [["m"], "Measure tool", (viewer) => viewer.chooseTool("measure")],
  [["k"], "Mark tool, where marks are asked for", (viewer) => viewer.data.marks && viewer.chooseTool("mark")],
  [["+", "="], "Zoom in", (viewer) => viewer.zoom(ZOOM_STEP)],
  [["-"], "Zoom out", (viewer) => viewer.zoom(1 / ZOOM_STEP)],
  [["0"], "Fit", (viewer) => viewer.fitFilm()],
  [["a"], "Actual pixels, 1:1", (viewer) => viewer.actualSize()],
  [["1", "2", "3", "4", "5"], `Window: ${PRESETS.join(", ")}`, (viewer, key) => viewer.choosePreset(PRESETS[key - 1])],
  [["i"], "Invert", (viewer) => viewer.toggleInvert(), (viewer) => (viewer.memory.invert ? "Inverted" : "Not inverted")],
  [["h"], "Heatmap on or off", (viewer) => viewer.toggleHeatmap(), ofHeat((viewer) => (viewer.prefs.overlay ? "Heatmap shown" : "Heatmap hidden"))],
  [["o"], "Color wash or contours", (viewer) => viewer.toggleStyle(), ofHeat((viewer) => (viewer.prefs.style === "wash" ? "Color wash" : "Contours"))],
  [["["], "Less opacity", (viewer) => viewer.changeOpacity(-10), opacity],
  [["]"], "More opacity", (viewer) => viewer.changeOpacity(10), opacity],
  [["g"], "Next class or group", (viewer) => viewer.nextTarget(), ofHeat((viewer) => `Evidence for ${viewer.data.heat.labels[viewer.target].inline}`)],
  [["s"], "Side by side, or one image", (viewer) => viewer.toggleLayout(), ofHeat((viewer) => (viewer.isDouble ? "Side by side" : "One image"))],
  [["r"], "Rotate right, for the eye only", (viewer) => viewer.rotate(1)],
  [["R"], "Rotate left, for the eye only", (viewer) => viewer.rotate(-1)],
  [["x"], "Flip, for the eye only", (viewer) => viewer.flip()],
  [["f"], "Full screen", (viewer) => viewer.toggleFullscreen()],
  [["n", "PageDown"], "Next X-ray", (viewer) => viewer.step(1)],
  [["p", "PageUp"], "Previous X-ray", (viewer) => viewer.step(-1)],
  [["Backspace", "Delete"], "Remove the last measurement or mark", (viewer) => viewer.removeLast()],
  [["Home"], "Reset view and window", (viewer) => viewer.resetAll()],
  [["Escape"], "Give up the measurement or box at hand", (viewer) => viewer.giveUp()],
  [["?"], "This list", (viewer) => viewer.showKeys()],
];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ARROW_WORDS = [
  ["Arrows", "Pan; with the measure or mark tool, move the crosshair (Shift: by a single pixel)"],
  ["Enter", "With the measure tool, set its two ends; with the mark tool, set a point"],
  ["Shift + Enter", "With the mark tool, set a corner of a box; Enter sets the opposite one"],
  ["Shift + arrows", "Window: width to the sides, level up and down"],
];
const ACTIONS = new Map(KEYS.flatMap(([keys, , act, words]) => keys.map((key) => [key, { act, words }])));
const NAMES = { R: "Shift + r", PageDown: "Page down", PageUp: "Page up", Backspace: "Backspace" };

// Whether this key was used up.
function pressed(viewer, event, onFrame) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.key in ARROWS) {
    if (onFrame) viewer.arrow(...ARROWS[event.key], event.shiftKey);
    return onFrame;
  }
  if (event.key === "Enter" && onFrame) return viewer.enter(event.shiftKey);
  const action = ACTIONS.get(event.key);
  if (!action || action.act(viewer, event.key) === false) return false;
  const words = action.words?.(viewer);
  if (words) viewer.say(words);
  return true;
}

function fillKeys(list) {
  const named = (keys) => (keys.length > 2 ? `${keys[0]} to ${keys.at(-1)}` : keys.map((key) => NAMES[key] ?? key).join(" or "));
  const rows = [...KEYS.map(([keys, words]) => [named(keys), words]), ...ARROW_WORDS];
  list.replaceChildren(...rows.flatMap(([keys, words]) => {
    const name = document.createElement("dt"), meaning = document.createElement("dd");
    name.textContent = `${keys}: `; // read aloud as one text
    meaning.textContent = `${words}. `;
    return [name, meaning];
  }));
}

// A toolbar is one stop of the Tab key; the arrows go from button to button.
function rove(toolbar) {
  const buttons = () => [...toolbar.querySelectorAll("button")].filter((button) => !button.disabled && !button.hidden);
  const settle = () => {
    const all = buttons(), current = all.find((button) => button.tabIndex === 0) ?? all[0];
    for (const button of toolbar.querySelectorAll("button")) button.tabIndex = button === current ? 0 : -1;
  };
  toolbar.addEventListener("focusin", (event) => {
    for (const button of toolbar.querySelectorAll("button")) button.tabIndex = button === event.target ? 0 : -1;
  });
  toolbar.addEventListener("keydown", (event) => {
    const all = buttons(), at = all.indexOf(event.target);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    all[(next + all.length) % all.length].focus();
  });
  settle();
  return settle;
}
