"use strict";
// What this adds is comfort: without scripts the page reads whole, and its files lie beside it.

const NUMBER = /^[+<]\s*/;

// A printed entry as a number; a dash is none, and stands last whichever way a column is sorted.
function numberOf(text) {
  const plain = text.replaceAll(",", "").replace("\u2212", "-").replace(NUMBER, "");
  return /^-?inf/.test(plain) ? (plain[0] === "-" ? -Infinity : Infinity) : parseFloat(plain);
}

function entryOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.sort ?? cell.firstChild?.textContent ?? "";
}

function comparison(column, numeric, sign) {
  return (first, second) => {
    const [a, b] = [entryOf(first, column), entryOf(second, column)];
    if (!numeric) return sign * a.localeCompare(b, "en", { numeric: true });
    const [x, y] = [numberOf(a), numberOf(b)];
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
    return x === y ? 0 : x < y ? -sign : sign;
  };
}

// Up, down, and back to the order of the study.
const NEXT = new Map([["ascending", "descending"], ["descending", null]]);

function makeSortable(table) {
  const body = table.tBodies[0];
  const study = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      const order = NEXT.has(was) ? NEXT.get(was) : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (order) head.setAttribute("aria-sort", order);
      const numeric = !head.classList.contains("left");
      const sign = order === "ascending" ? 1 : -1;
      body.append(...(order ? [...study].sort(comparison(column, numeric, sign)) : study));
    });
  });
}

async function copy(source) {
  getSelection().selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.textContent);
    return "Copied";
  } catch {
    // Where the page may not write, the text is selected.
    return document.execCommand("copy") ? "Copied" : "Selected";
  }
}

function makeCopyable(source) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${source.getAttribute("aria-label")}`);
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    said.textContent = await copy(source);
  });
  source.previousElementSibling.append(" ", button, " ", said);
}

document.querySelectorAll("table.ablation, table.beside").forEach(makeSortable);
document.querySelectorAll("pre.copied").forEach(makeCopyable);
