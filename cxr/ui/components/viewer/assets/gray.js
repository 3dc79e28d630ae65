// Windows: from a sample to a gray level on the screen.

const PLAIN_WINDOW = { code: "default", shift: 0, stretch: 1 };

// A window is kept as its preset and how far it was moved, in parts of the preset's width: so it fits the next film.
class Gray {
  constructor(memory) {
    this.memory = memory;
    memory.window ??= { ...PLAIN_WINDOW };
    memory.invert ??= false;
  }

  use(film, facts) {
    this.film = film;
    this.facts = facts;
  }

  get preset() {
    return this.facts.windows.find(({ code }) => code === this.memory.window.code) ?? this.facts.windows[0];
  }

  get isMoved() {
    return this.memory.window.shift !== 0 || this.memory.window.stretch !== 1;
  }

  // Center and width in the file's own unit.
  get window() {
    const { center, width } = this.preset, { shift, stretch } = this.memory.window;
    return { center: center + shift * width, width: width * stretch };
  }

  set window({ center, width }) {
    const preset = this.preset;
    this.memory.window = {
      code: preset.code,
      shift: (center - preset.center) / preset.width,
      stretch: Math.max(width, this.least) / preset.width,
    };
  }

  get least() {
    return Math.abs(this.facts.slope); // a window of one step
  }

  choose(code) {
    this.memory.window = { ...PLAIN_WINDOW, code };
  }

  drag(wider, brighter) {
    const { center, width } = this.window, darkens = this.facts.inverted !== this.memory.invert ? 1 : -1;
    this.window = { center: center + darkens * brighter * width, width: width * 2 ** wider };
  }

  // The default window that nobody moved is what the model reads, value for value.
  get isModels() {
    return this.preset.code === "default" && !this.isMoved;
  }

  table() {
    const { rendering } = this.film, { slope, intercept, inverted } = this.facts, { center, width } = this.window;
    const table = new Uint32Array(rendering.length), low = center - width / 2;
    for (let sample = 0; sample < table.length; sample++) {
      let gray = rendering[sample];
      if (!this.isModels) {
        const share = Math.min(1, Math.max(0, (slope * sample + intercept - low) / width));
        gray = Math.round(255 * (inverted ? 1 - share : share));
      }
      if (this.memory.invert) gray = 255 - gray;
      table[sample] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
    }
    return table;
  }
}
