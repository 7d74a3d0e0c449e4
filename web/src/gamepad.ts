/** A gamepad's left stick, its cross and its first button, as directions. Polled only while one is there. */

import type { Direction } from "./protocol";

const DEAD = 0.2;
const CROSS: [number, Direction][] = [
  [12, "up"],
  [13, "down"],
  [14, "left"],
  [15, "right"],
];

/** Tell `push` how far each direction is held; whether a gamepad is there. */
export function readGamepads(push: (direction: Direction, share: number) => void): boolean {
  const pads = navigator.getGamepads().filter((pad) => pad !== null);
  if (pads.length === 0) return false;
  const shares: Record<Direction, number> = { left: 0, right: 0, up: 0, down: 0 };
  for (const pad of pads) {
    const [x = 0, y = 0] = pad.axes;
    shares.left = Math.max(shares.left, beyond(-x));
    shares.right = Math.max(shares.right, beyond(x));
    shares.up = Math.max(shares.up, beyond(-y));
    shares.down = Math.max(shares.down, beyond(y));
    for (const [button, direction] of CROSS) if (pad.buttons[button]?.pressed) shares[direction] = 1;
    if (pad.buttons[0]?.pressed) shares.up = 1;
  }
  for (const direction of Object.keys(shares) as Direction[]) push(direction, shares[direction]);
  return true;
}

function beyond(value: number): number {
  return value < DEAD ? 0 : Math.min(1, (value - DEAD) / (1 - DEAD));
}
