// Puts words into a live region, from where a screen reader tells them once; nothing of it is to be seen.
const told = new Map();

function region() {
  const id = "cxr-announcements", there = document.getElementById(id);
  if (there) return there;
  const made = Object.assign(document.createElement("div"), { id });
  made.setAttribute("role", "status");
  made.setAttribute("aria-live", "polite");
  made.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";
  document.body.append(made);
  return made;
}

export default function ({ data }) {
  const place = region(); // there before it has words: only a change is told
  if (!data.words || told.get(data.about) === data.words) return;
  told.set(data.about, data.words);
  setTimeout(() => (place.textContent = data.words), 150);
}
