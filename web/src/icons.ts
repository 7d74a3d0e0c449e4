/** The buttons' pictures, as outlines on a grid of 24. */

const PATHS: Record<string, string> = {
  again: "M4 12a8 8 0 1 0 2.6-5.9M4 4v4.5h4.5",
  back: "M18 6l-8 6 8 6zM7 6v12",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  forward: "M6 6l8 6-8 6zM17 6v12",
  bookmark: "M7 4h10v16l-5-4-5 4z",
  record: "M12 12m-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0",
  film: "M12 4v11M7 11l5 5 5-5M5 20h14",
  remove: "M7 7l10 10M17 7L7 17",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
};
const SVG = "http://www.w3.org/2000/svg";

/** Put a picture into an element, in place of what was there. */
export function setIcon(element: Element, name: string): void {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name] ?? "");
  svg.append(path);
  element.replaceChildren(svg);
}
