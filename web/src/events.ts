/** What a world that hears words can be told to let happen: a button for each event that it knows, and a field for any words. */

import { find } from "./view";
import { say } from "./words";

export class Events {
  private known: string[] = [];
  private now = "";

  constructor(private readonly onTell: (text: string) => void) {
    find("tell").addEventListener("submit", (event) => {
      event.preventDefault();
      this.tell(find<HTMLInputElement>("event").value.trim());
    });
  }

  /** The events of a world; none hides all of this. */
  meet(known: string[]): void {
    this.known = known;
    find("events").hidden = known.length === 0;
    this.build();
  }

  /** What goes on. */
  show(event: string): void {
    if (event === this.now) return;
    this.now = event;
    this.build();
  }

  /** Lay the buttons out, in the language of now. */
  build(): void {
    find("known-events").replaceChildren(...["", ...this.known].map((text) => this.button(text)));
  }

  private button(text: string): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text || say("nothing");
    button.setAttribute("aria-pressed", String(text === this.now));
    button.addEventListener("click", () => this.tell(text));
    return button;
  }

  /** Afterwards the keys are the world's. */
  private tell(text: string): void {
    this.onTell(text);
    find("stage").focus();
  }
}
