/** The part of the page with which a world is steered: a cross, buttons and sliders. */

import { setIcon } from "./icons";
import type { Direction } from "./protocol";
import type { Steering } from "./steering";
import { say } from "./words";
import { find } from "./view";

const ORDER: Direction[] = ["up", "left", "down", "right"];

export class Panel {
  private sliders: HTMLInputElement[] = [];
  private readouts: HTMLOutputElement[] = [];

  constructor(
    private readonly steering: Steering,
    private readonly onTouch: () => void,
  ) {}

  /** Lay out what this world can be told. */
  build(): void {
    const { axes, choices } = this.steering;
    const directions = ORDER.filter((one) => axes.length > 0 || choices.some((choice) => choice.held.includes(one)));
    const used = axes.length === 1 ? directions.filter((one) => one === "left" || one === "right") : directions;
    find("pad").replaceChildren(...used.map((one) => this.padButton(one)));
    find("pad").hidden = used.length === 0;
    const named = used.length > 0 ? [] : choices;
    find("choices").replaceChildren(...named.map((choice, index) => this.choiceButton(choice.name, index)));
    find("choices").hidden = named.length === 0;
    this.buildAxes();
    find("keys").textContent = say(
      axes.length > 2 ? "keysAxes" : used.length > 0 ? "keysDirections" : choices.length > 0 ? "keysChoices" : "watch",
    );
  }

  /** Show what is held. */
  update(): void {
    const { axes, values, pair } = this.steering;
    this.sliders.forEach((slider, index) => {
      const value = values[index] ?? 0;
      if (document.activeElement !== slider || this.steering.active) slider.value = String(value);
      slider.parentElement?.classList.toggle("marked", axes.length > 2 && (index === pair || index === pair + 1));
      const readout = this.readouts[index];
      if (readout !== undefined) readout.value = value.toFixed(2);
    });
  }

  private buildAxes(): void {
    this.sliders = [];
    this.readouts = [];
    const rows = this.steering.axes.map((axis, index) => {
      const row = document.createElement("div");
      const label = document.createElement("label");
      const slider = document.createElement("input");
      const readout = document.createElement("output");
      slider.id = `axis-${index}`;
      label.htmlFor = slider.id;
      label.textContent = axis.name;
      label.title = axis.name;
      Object.assign(slider, { type: "range", min: String(axis.low), max: String(axis.high), step: "any" });
      slider.addEventListener("input", () => {
        this.steering.values[index] = Math.min(Math.max(Number(slider.value), axis.low), axis.high);
        this.onTouch();
      });
      row.append(label, slider, readout);
      this.sliders.push(slider);
      this.readouts.push(readout);
      return row;
    });
    if (rows.length > 0) {
      const release = document.createElement("button");
      release.type = "button";
      release.textContent = say("release");
      release.addEventListener("click", () => this.steering.neutral());
      rows.push(document.createElement("div"));
      rows.at(-1)?.append(release);
    }
    find("axes").replaceChildren(...rows);
    find("axes").hidden = rows.length === 0;
    this.update();
  }

  private padButton(direction: Direction): HTMLButtonElement {
    const button = this.heldButton(
      () => this.steering.hold(`pad-${direction}`, direction),
      () => this.steering.release(`pad-${direction}`),
    );
    button.className = direction;
    button.setAttribute("aria-label", say(direction));
    setIcon(button, direction);
    return button;
  }

  private choiceButton(name: string, index: number): HTMLButtonElement {
    const button = this.heldButton(
      () => this.steering.press(index),
      () => this.steering.press(null),
    );
    button.textContent = name;
    return button;
  }

  /** A button that acts while it is held, by finger, mouse, or the space bar. */
  private heldButton(down: () => void, up: () => void): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    const begin = (): void => {
      button.classList.add("held");
      down();
      this.onTouch();
    };
    const end = (): void => {
      button.classList.remove("held");
      up();
    };
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      begin();
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(name, end);
    button.addEventListener("keydown", (event) => {
      if ((event.key === " " || event.key === "Enter") && !event.repeat) begin();
    });
    button.addEventListener("keyup", (event) => {
      if (event.key === " " || event.key === "Enter") end();
    });
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    return button;
  }
}
