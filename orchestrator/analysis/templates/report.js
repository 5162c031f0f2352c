"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = read("charts");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const isNarrow = () => window.innerWidth < 561;

  // "@run" in a figure means the page's colour of that name, light or dark.
  const coloured = (value) => {
    if (typeof value === "string") return value.startsWith("@") ? colour(value.slice(1)) : value;
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, key === "bdata" ? item : coloured(item)]));
    }
    return value;
  };

  const layoutOf = (layout, width) => {
    const axis = (own) => ({ gridcolor: colour("grid"), zerolinecolor: colour("line"), linecolor: colour("line"), automargin: true, ...own });
    const made = coloured(layout);
    for (const name of ["xaxis", "yaxis", "yaxis2"]) {
      if (name !== "yaxis2" || made.yaxis2) made[name] = axis(made[name]);
    }
    if (made.xaxis.type === "date") Object.assign(made.xaxis, { nticks: Math.max(3, Math.round(width / 110)), tickangle: 0 });
    return {
      ...made,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
      margin: { ...made.margin, t: made.showlegend ? 36 : 8 },
      dragmode: isNarrow() ? false : "zoom",  // a finger that scrolls the page must not zoom a chart
    };
  };

  const draw = (place) => {
    const chosen = place.dataset.select ? document.getElementById(place.dataset.select).value : place.dataset.chart;
    const figure = charts[chosen];
    const options = { responsive: true, displaylogo: false, displayModeBar: false };
    return Plotly.react(place, coloured(figure.data), layoutOf(figure.layout, place.clientWidth), options);
  };

  const places = [...document.querySelectorAll(".chart")];
  const drawAll = () => Promise.all(places.map(draw));
  for (const place of places.filter((item) => item.dataset.select)) {
    document.getElementById(place.dataset.select).addEventListener("change", () => draw(place));
  }
  for (const query of ["(prefers-color-scheme: dark)", "(max-width: 560px)", "print"]) {
    window.matchMedia(query).addEventListener("change", drawAll);
  }
  drawAll().then(() => { document.documentElement.dataset.drawn = "yes"; });

  const table = document.getElementById("trades");
  if (!table) return;
  const { columns, rows } = read("trade-rows");
  const page = { size: 25, at: 0, column: 0, isUp: true };
  const text = (value, kind) => {
    if (value === null) return "–";
    if (kind === "money") return value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    if (kind === "percent") return (100 * value).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) + " %";
    if (kind === "hours") return value < 1 ? Math.round(value * 60) + " min" : value < 48 ? value.toFixed(1) + " h" : (value / 24).toFixed(1) + " d";
    if (kind === "number") return value.toLocaleString("en-US", { maximumSignificantDigits: 8 });
    return String(value);
  };
  const show = () => {
    const last = Math.max(0, Math.ceil(rows.length / page.size) - 1);
    page.at = Math.min(Math.max(page.at, 0), last);
    const body = table.tBodies[0];
    body.replaceChildren(...rows.slice(page.at * page.size, (page.at + 1) * page.size).map((row) => {
      const line = document.createElement("tr");
      columns.forEach((column, place) => {
        const cell = line.insertCell();
        cell.textContent = text(row[place], column.kind);
        if (column.kind === "text") cell.className = "text";
        if (column.isSigned) cell.classList.add(row[place] < 0 ? "loss" : "gain");
      });
      return line;
    }));
    document.getElementById("page").textContent = `${page.at + 1} of ${last + 1}`;
    document.getElementById("before").disabled = page.at === 0;
    document.getElementById("after").disabled = page.at === last;
  };
  const sort = (column) => {
    page.isUp = page.column === column ? !page.isUp : columns[column].kind === "text" || column === 0;
    page.column = column;
    page.at = 0;
    const order = (a, b) => (a[column] > b[column]) - (a[column] < b[column]) || a[0] - b[0];
    rows.sort((a, b) => (page.isUp ? order(a, b) : order(b, a)));
    [...table.tHead.rows[0].cells].forEach((cell, place) => {
      if (place === column) cell.setAttribute("aria-sort", page.isUp ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
    show();
  };
  [...table.tHead.rows[0].cells].forEach((cell, place) => cell.querySelector("button").addEventListener("click", () => sort(place)));
  document.getElementById("before").addEventListener("click", () => { page.at -= 1; show(); });
  document.getElementById("after").addEventListener("click", () => { page.at += 1; show(); });
  show();
})();
