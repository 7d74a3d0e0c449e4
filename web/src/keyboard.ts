/** Which key does what. */

import type { Direction } from "./protocol";

const DIRECTIONS: Record<string, Direction> = {
  KeyW: "up",
  ArrowUp: "up",
  KeyS: "down",
  ArrowDown: "down",
  KeyA: "left",
  ArrowLeft: "left",
  KeyD: "right",
  ArrowRight: "right",
};

export interface Keys {
  onDirection(source: string, direction: Direction | null): void;
  onNumber(number: number, down: boolean): void;
  onCommand(command: string): void;
}

const COMMANDS: Record<string, string> = { " ": "play", ".": "forward", ",": "back", b: "bookmark", r: "again", n: "next", t: "record", "[": "pair-", "]": "pair+" };

/** Listen to the whole page. A field keeps the keys that it needs itself, and a button its space. */
export function listenToKeys(keys: Keys): void {
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target as HTMLElement;
    const is_field = target.matches("input, select, textarea");
    const is_text = is_field && (target as HTMLInputElement).type !== "range";
    const direction = DIRECTIONS[event.code];
    if (is_text || (is_field && event.code.startsWith("Arrow"))) return;
    if (direction !== undefined) {
      if (!event.repeat) keys.onDirection(event.code, direction);
    } else if (/^[1-9]$/.test(event.key)) {
      if (!event.repeat) keys.onNumber(Number(event.key), true);
    } else {
      const command = COMMANDS[event.key.toLowerCase()];
      if (command === undefined || (event.key === " " && target.matches("button, a"))) return;
      keys.onCommand(command);
    }
    event.preventDefault();
  });
  window.addEventListener("keyup", (event) => {
    if (event.code in DIRECTIONS) keys.onDirection(event.code, null);
    if (/^[1-9]$/.test(event.key)) keys.onNumber(Number(event.key), false);
  });
}
