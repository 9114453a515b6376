// Tables of levels: a click on a head sorts by its column, the field above keeps the rows that hold its words.
for (const section of document.querySelectorAll("section.levels")) {
  const body = section.querySelector("tbody"), heads = [...section.querySelectorAll("thead th")];
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (a, b) => value(a).localeCompare(value(b), "en", { numeric: true });
    const rows = [...body.rows].sort(order);
    body.append(...(down ? rows.reverse() : rows));
  }));
  const field = section.querySelector("input");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
    }
  });
}
