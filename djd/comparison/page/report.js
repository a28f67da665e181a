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
      const up = head.getAttribute("aria-sort") === "descending";
      const key = (row) => row.cells[column].textContent.trim();
      const compare = (one, other) => {
        const [a, b] = [parseFloat(key(one)), parseFloat(key(other))];
        if (isNaN(a) !== isNaN(b)) return isNaN(a) - isNaN(b);  // what has no number comes last
        const order = isNaN(a) ? key(one).localeCompare(key(other)) : a - b;
        return up ? order : -order;
      };
      const rows = [...body.rows].sort(compare);
      for (const each of table.tHead.rows[0].cells) each.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...rows);
    });
  });
}
