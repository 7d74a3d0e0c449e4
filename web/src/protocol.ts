/** What the page and the server say to one another; messages.py of the server is the other half. */

export const PROTOCOL = 1;

export interface Axis {
  name: string;
  low: number;
  high: number;
  neutral: number;
  hold: boolean;
}

export type Direction = "left" | "right" | "up" | "down";

export interface Choice {
  name: string;
  held: Direction[];
}

export type Value = number | number[];

export interface Welcome {
  kind: "welcome";
  protocol: number;
  session: string;
  resumed: boolean;
  world: string;
  exact: boolean;
  task: string;
  truth: boolean;
  height: number;
  width: number;
  seconds_per_step: number;
  controls: { axes: Axis[]; choices: Choice[] };
  events: string[];
}

export interface Status {
  kind: "status";
  paused: boolean;
  seed: number;
  recording: boolean;
  problem: string;
  event: string;
  bookmarks: { number: number; step: number }[];
}

export type Words =
  | Welcome
  | Status
  | { kind: "value"; value: Value }
  | { kind: "notice"; level: string; text: string }
  | { kind: "saved"; episode: number; steps: number; folder: string };

export interface About {
  frame: number;
  step: number;
  first: number;
  last: number;
  sequence: number;
  seconds: number;
  fps: number;
  step_ms: number;
  people: number;
  error_db: number | null;
  ended: boolean;
  recorded: number | null;
  type: string;
  pictures: { name: string; bytes: number }[];
}

export interface Frame {
  about: About;
  pictures: Map<string, Blob>;
}

/** A frame's message, taken apart. */
export function unpackFrame(message: ArrayBuffer): Frame {
  const length = new DataView(message).getUint32(0);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length))) as About;
  const pictures = new Map<string, Blob>();
  let at = 4 + length;
  for (const { name, bytes } of about.pictures) {
    pictures.set(name, new Blob([new Uint8Array(message, at, bytes)], { type: about.type }));
    at += bytes;
  }
  return { about, pictures };
}
