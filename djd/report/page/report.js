// Sorting alone: without it the page loses nothing.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      // The first click brings the best up: the first rank, the highest score.
      const was = head.getAttribute("aria-sort");
      const up = column === 0 ? was !== "ascending" : was === "descending";
      const key = (row) => row.cells[column].textContent.trim();
      // Numbers, then words, then dashes, whichever way each are sorted.
      const kind = (text) => (text === "-" ? 2 : isNaN(parseFloat(text)) ? 1 : 0);
      const order = (one, other) => {
        const [a, b] = [key(one), key(other)];
        if (kind(a) !== kind(b)) return kind(a) - kind(b);
        const ascending = kind(a) ? a.localeCompare(b) : parseFloat(a) - parseFloat(b);
        return up ? ascending : -ascending;
      };
      const rows = [...body.rows].sort(order);
      for (const each of table.tHead.rows[0].cells) each.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...rows);
    });
  });
}
