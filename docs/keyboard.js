// What the theme leaves out for who reads by keyboard or by ear: what scrolls takes the focus, where
// no pointer hovers too, and a code's copy button is no landmark of the page.
const BOXES = ".md-typeset pre > code, .md-typeset__scrollwrap, .md-typeset p:has(> img)";

function reach() {
  for (const box of document.querySelectorAll(BOXES)) {
    const scrolls = box.scrollWidth > box.clientWidth;
    if (scrolls === (box.tabIndex === 0)) continue;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
  for (const buttons of document.querySelectorAll(".md-code__nav")) {
    buttons.setAttribute("role", "none");
  }
}

// The theme makes boxes and buttons when the page is there, and takes the focus away at each size.
const changes = { childList: true, subtree: true, attributes: true, attributeFilter: ["tabindex"] };
new MutationObserver(reach).observe(document.body, changes);
new ResizeObserver(reach).observe(document.body);
