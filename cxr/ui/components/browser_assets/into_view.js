// Brings a container of the page into view once for each request, and the keyboard's focus with it.
const answered = new Map();

export default function ({ data }) {
  if (!data.request || answered.get(data.container) === data.request) return;
  answered.set(data.container, data.request);
  const deadline = performance.now() + 5000;
  const bring = () => {
    const place = document.querySelector(`.st-key-${data.container}`);
    if (!place) {
      if (performance.now() < deadline) requestAnimationFrame(bring);
      return;
    }
    place.style.scrollMarginTop = "4rem"; // Streamlit's header lies over the page
    place.scrollIntoView({ block: "start" });
    if (!data.focus || place.contains(document.activeElement)) return;
    place.tabIndex = -1;
    place.style.outline = "none"; // the focus is for the keyboard and the screen reader; nothing was chosen here
    place.focus({ preventScroll: true });
  };
  requestAnimationFrame(bring);
}
