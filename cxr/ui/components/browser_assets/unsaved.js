// Lets the browser ask before a reload or another address would lose what is not saved.
let unsaved = false;

window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

export default function ({ data }) {
  unsaved = data.unsaved;
  return () => {
    unsaved = false;
  };
}
