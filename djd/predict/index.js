// Pictures beside the table: without scripts a link opens the picture itself.
const dialog = document.querySelector("dialog");
const picture = dialog.querySelector("img");
let shown = null;
const links = () => [...document.querySelectorAll("tbody a")];
const show = (link) => {
  shown = link;
  picture.src = link.getAttribute("href");
  picture.alt = `${link.textContent}: the whole body, both knees and their grades`;
  if (!dialog.open) dialog.showModal();
};
const step = (by) => {
  const all = links();
  const next = all[all.indexOf(shown) + by];
  if (next) show(next);
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("tbody a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link);
});
dialog.querySelector("[value=previous]").addEventListener("click", () => step(-1));
dialog.querySelector("[value=next]").addEventListener("click", () => step(1));
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
