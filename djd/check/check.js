// Sorting and choosing scans: without scripts all are shown, the most suspicious first.
const list = document.querySelector(".scans"), form = document.querySelector(".choose");
const said = form.querySelector("output"), empty = document.querySelector(".empty");
const scans = [...list.children];
const texts = new Map(scans.map((scan) => [scan, scan.querySelector("h3").textContent.normalize().toLowerCase()]));
const number = (scan, name) => Number(scan.dataset[name]);
const orders = {
  name: (one, other) => number(one, "name") - number(other, "name"),
  grade: (one, other) => number(other, "grade") - number(one, "grade") || orders.name(one, other),
};
const fits = (scan, kind) => {
  const kinds = scan.dataset.kinds.split(" ").filter(Boolean);
  if (kind === "any" || kind === "none") return kind === "any" ? kinds.length > 0 : !kinds.length;
  return !kind || kinds.includes(kind);
};
const choose = () => {
  const part = form.elements.find.value.normalize().toLowerCase();
  let shown = 0;
  for (const scan of scans) {
    scan.hidden = !fits(scan, form.elements.kind.value) || !texts.get(scan).includes(part);
    shown += !scan.hidden;
  }
  said.textContent = `${shown} of ${scans.length} shown`;
  empty.hidden = shown > 0;
};
const sort = () => {
  const order = form.elements.sort.value;
  list.append(...(order === "suspicion" ? scans : [...scans].sort(orders[order])));
};
form.elements.sort.addEventListener("change", sort);
form.elements.kind.addEventListener("change", choose);
form.elements.find.addEventListener("input", choose);
form.addEventListener("submit", (event) => event.preventDefault());
// A link to a scan that is not shown shows all of them.
window.addEventListener("hashchange", () => {
  const scan = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!scan?.hidden) return;
  form.elements.kind.value = form.elements.find.value = "";
  choose();
  scan.scrollIntoView();
});
form.hidden = false;
// Browsers keep what was chosen when a page is loaded again.
sort();
choose();
