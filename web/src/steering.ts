/** What is held now, from keys, buttons, sliders and gamepads together. */

import type { Axis, Choice, Direction, Value } from "./protocol";

const SECONDS_ACROSS = 1.5; // a held key moves a slider that stays from one end to the other in this time
const OPPOSITE: Record<Direction, Direction> = { left: "right", right: "left", up: "down", down: "up" };

export class Steering {
  axes: Axis[] = [];
  choices: Choice[] = [];
  values: number[] = [];
  /** The first of the two axes that directions move. */
  pair = 0;
  private readonly held = new Map<string, Direction>();
  private readonly stick = new Map<Direction, number>();
  private pressed: number | null = null;

  reset(axes: Axis[], choices: Choice[]): void {
    this.axes = axes;
    this.choices = choices;
    this.values = axes.map((axis) => axis.neutral);
    this.pair = 0;
    this.releaseAll();
  }

  /** The server says what is held, as after a new start. */
  adopt(value: Value): void {
    if (Array.isArray(value) && value.length === this.axes.length) this.values = [...value];
  }

  hold(source: string, direction: Direction): void {
    this.held.set(source, direction);
  }

  release(source: string): void {
    const direction = this.held.get(source);
    this.held.delete(source);
    if (direction !== undefined) this.letGo(direction);
  }

  releaseAll(): void {
    for (const source of [...this.held.keys()]) this.release(source);
    this.stick.clear();
    this.pressed = null;
  }

  press(choice: number | null): void {
    this.pressed = choice;
  }

  /** A gamepad's stick: how far it is pushed, 0 to 1. */
  push(direction: Direction, share: number): void {
    const before = this.stick.get(direction) ?? 0;
    this.stick.set(direction, share);
    if (share === 0 && before > 0) this.letGo(direction);
  }

  movePair(by: number): void {
    const pairs = Math.max(1, Math.ceil(this.axes.length / 2));
    this.pair = ((((this.pair / 2 + by) % pairs) + pairs) % pairs) * 2;
  }

  neutral(): void {
    this.releaseAll();
    this.values = this.axes.map((axis) => axis.neutral);
  }

  /** Whether a direction is held by anyone. */
  get active(): boolean {
    return this.held.size > 0 || [...this.stick.values()].some((share) => share > 0) || this.pressed !== null;
  }

  /** Let time pass for sliders that stay; what is held now. */
  value(seconds: number): Value {
    if (this.choices.length > 0) return this.chosen();
    for (const [index, low, high] of [
      [this.pair, "left", "right"],
      [this.pair + 1, "down", "up"],
    ] as const) {
      const axis = this.axes[index];
      if (axis === undefined) continue;
      const share = this.share(high) - this.share(low);
      const now = this.values[index] ?? axis.neutral;
      if (share === 0) continue;
      if (axis.hold) this.values[index] = share > 0 ? share * axis.high : -share * axis.low;
      else this.values[index] = clamp(now + (share * seconds * (axis.high - axis.low)) / SECONDS_ACROSS, axis);
    }
    return [...this.values];
  }

  private share(direction: Direction): number {
    return [...this.held.values()].includes(direction) ? 1 : (this.stick.get(direction) ?? 0);
  }

  private chosen(): number {
    if (this.pressed !== null) return this.pressed;
    let best = 0;
    this.choices.forEach((choice, index) => {
      const fits = choice.held.every((direction) => this.share(direction) > 0.4);
      const is_more = choice.held.length > (this.choices[best]?.held.length ?? 0);
      if (fits && is_more) best = index;
    });
    return best;
  }

  /** An axis that is only held goes back to rest. */
  private letGo(direction: Direction): void {
    if (this.share(direction) > 0 || this.share(OPPOSITE[direction]) > 0) return;
    const index = this.pair + (direction === "up" || direction === "down" ? 1 : 0);
    const axis = this.axes[index];
    if (axis?.hold) this.values[index] = axis.neutral;
  }
}

function clamp(value: number, axis: Axis): number {
  return Math.min(Math.max(value, axis.low), axis.high);
}
