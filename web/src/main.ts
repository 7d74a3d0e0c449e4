/** The page: joins the connection, what is held, and what is shown. */

import { Connection, type State } from "./connection";
import { Events } from "./events";
import { readGamepads } from "./gamepad";
import { setIcon } from "./icons";
import { listenToKeys } from "./keyboard";
import { Panel } from "./panel";
import type { Frame, Status, Value, Words } from "./protocol";
import { Steering } from "./steering";
import { find, View } from "./view";
import { say, switchLanguage, translate } from "./words";

const NOTICE_MS = 8000;
const LONGEST_STEP_S = 0.1;

const steering = new Steering();
const connection = new Connection({ onState, onWords, onFrame });
const view = new View(
  (bookmark) => connection.order({ do: "branch", bookmark }),
  (bookmark) => connection.order({ do: "forget", bookmark }),
);
const panel = new Panel(steering, () => wake(true));
const events = new Events((text) => connection.order({ do: "tell", text }));
const sentAt = new Map<number, number>();
let status: Status | null = null;
let state: State = "connecting";
let reason = "";
let told = "";
let sequence = 0;
let step = 0;
let playedBefore = false;
let resume = false;
let running = false;
let before = 0;

/** Steer every animation frame while something is held; sleep otherwise. `steered`: by the person, just now. */
function wake(steered: boolean): void {
  if (steered && isPaused() && !playedBefore && !status?.problem) connection.order({ do: "play" });
  if (running) return;
  running = true;
  before = performance.now();
  requestAnimationFrame(steer);
}

function steer(now: number): void {
  const has_gamepad = readGamepads((direction, share) => steering.push(direction, share));
  const value = steering.value(Math.min((now - before) / 1000, LONGEST_STEP_S));
  before = now;
  send(value);
  panel.update();
  running = has_gamepad || steering.active;
  if (has_gamepad && steering.active && isPaused() && !playedBefore) connection.order({ do: "play" });
  if (running) requestAnimationFrame(steer);
}

/** Whether the world stands still, as it does between the welcome and the first that is told of it. */
function isPaused(): boolean {
  return status?.paused ?? true;
}

function send(value: Value): void {
  const words = JSON.stringify(value);
  if (words === told || state !== "connected") return;
  told = words;
  sequence += 1;
  sentAt.set(sequence, performance.now());
  connection.order({ do: "act", value, sequence });
}

function onState(next: State, why: string): void {
  if (!(next === "lost" && state === "full")) reason = why;
  state = next === "lost" && state === "full" ? "full" : next;
  const pill = find("connection");
  pill.dataset["state"] = state;
  pill.textContent = say(state === "connected" || state === "connecting" || state === "refused" ? state : "lost");
  const banner = find("banner");
  const words = { lost: say("bannerLost"), refused: say("bannerRefused"), full: say("bannerFull") + reason, version: say("bannerVersion") };
  banner.textContent = state in words ? words[state as keyof typeof words] : "";
  banner.hidden = banner.textContent === "";
}

function onWords(words: Words): void {
  if (words.kind === "welcome") {
    if (status !== null) status = { ...status, paused: true }; // whoever was away finds it standing still
    sequence = 0;
    told = "";
    sentAt.clear();
    steering.reset(words.controls.axes, words.controls.choices);
    view.meet(words);
    events.meet(words.events);
    panel.build();
  } else if (words.kind === "status") {
    playedBefore ||= !words.paused || words.problem !== "";
    status = words;
    view.show(words);
    events.show(words.event);
  } else if (words.kind === "value") {
    steering.adopt(words.value);
    told = JSON.stringify(words.value);
    panel.update();
  } else if (words.kind === "saved") {
    notice(`${say("saved")}${words.folder} #${words.episode}`);
  } else {
    notice(words.text);
  }
}

async function onFrame(frame: Frame): Promise<void> {
  await view.draw(frame);
  step = frame.about.step;
  const sent = sentAt.get(frame.about.sequence);
  if (sent !== undefined && frame.about.step_ms > 0) view.addLatency(performance.now() - sent);
  for (const one of [...sentAt.keys()]) if (one <= frame.about.sequence && frame.about.step_ms > 0) sentAt.delete(one);
}

function notice(words: string): void {
  const line = find("notice");
  line.textContent = words;
  setTimeout(() => {
    if (line.textContent === words) line.textContent = "";
  }, NOTICE_MS);
}

const COMMANDS: Record<string, () => void> = {
  play: () => connection.order({ do: isPaused() ? "play" : "pause" }),
  forward: () => connection.order(step < Number(find<HTMLInputElement>("timeline").max) ? { do: "scrub", step: step + 1 } : { do: "step", count: 1 }),
  back: () => connection.order({ do: "scrub", step: Math.max(0, step - 1) }),
  again: () => connection.order({ do: "reset", seed: status?.seed ?? 0 }),
  next: () => connection.order({ do: "reset", seed: null }),
  bookmark: () => connection.order({ do: "bookmark" }),
  record: () => connection.order({ do: "record", on: !status?.recording }),
  "pair-": () => steering.movePair(-1),
  "pair+": () => steering.movePair(1),
};

for (const name of ["play", "forward", "back", "again", "next", "bookmark", "record"]) {
  find(name).addEventListener("click", () => COMMANDS[name]?.());
}
for (const element of document.querySelectorAll<HTMLElement>("[data-icon]")) setIcon(element, element.dataset["icon"] ?? "");

find("timeline").addEventListener("input", (event) => {
  connection.order({ do: "scrub", step: Number((event.target as HTMLInputElement).value) });
});
find("start").addEventListener("submit", (event) => {
  event.preventDefault();
  connection.order({ do: "reset", seed: find<HTMLInputElement>("seed").valueAsNumber });
  find("stage").focus();
});
find("language").addEventListener("click", () => {
  switchLanguage();
  tellAgain();
});
find("theme").addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset["theme"] = next;
  localStorage.setItem("armillary-theme", next);
  tellAgain();
});

listenToKeys({
  onDirection(source, direction) {
    if (direction === null) steering.release(source);
    else steering.hold(source, direction);
    wake(direction !== null);
  },
  onNumber(number, down) {
    const by_number = steering.choices.length > 0 && steering.choices.every((choice) => choice.held.length === 0);
    if (by_number) {
      steering.press(down && number < steering.choices.length ? number : null);
      wake(down);
    } else if (down && status?.bookmarks.some((one) => one.number === number)) {
      connection.order({ do: "branch", bookmark: number });
    }
  },
  onCommand(command) {
    COMMANDS[command]?.();
    panel.update();
  },
});

window.addEventListener("gamepadconnected", () => wake(false));
window.addEventListener("blur", () => {
  steering.releaseAll();
  wake(false);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    resume = !isPaused();
    if (resume) connection.order({ do: "pause" });
  } else if (resume) {
    connection.order({ do: "play" });
  }
});

function isDark(): boolean {
  const theme = document.documentElement.dataset["theme"];
  return theme === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : theme === "dark";
}

function tellAgain(): void {
  translate();
  find("language").textContent = say("otherLanguage");
  find("language").lang = document.documentElement.lang === "en" ? "zh-Hant" : "en";
  find("theme").textContent = say(isDark() ? "toLight" : "toDark");
  onState(state, reason);
  view.retell();
  events.build();
  panel.build();
}

const theme = localStorage.getItem("armillary-theme");
if (theme === "dark" || theme === "light") document.documentElement.dataset["theme"] = theme;
tellAgain();
void connection.open();
