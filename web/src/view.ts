/** What the page shows: pictures, time, bookmarks and meters. */

import { setIcon } from "./icons";
import type { About, Frame, Status, Welcome } from "./protocol";
import { say } from "./words";

const CRISP_PIXELS = 160; // pictures up to this size keep hard pixels
const SPARK_POINTS = 96;
const SPARK_LEAST_MS = 100;

export function find<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found as T;
}

export class View {
  private welcome: Welcome | null = null;
  private status: Status | null = null;
  private about: About | null = null;
  private readonly thumbnails = new Map<number, HTMLCanvasElement>();
  private readonly latencies: number[] = [];
  private started = false;

  constructor(
    private readonly onBranch: (bookmark: number) => void,
    private readonly onForget: (bookmark: number) => void,
  ) {}

  /** A world to show. */
  meet(welcome: Welcome): void {
    this.welcome = welcome;
    this.started = welcome.resumed;
    find("figure-truth").hidden = !welcome.truth;
    for (const name of ["world", "truth"]) {
      const canvas = find<HTMLCanvasElement>(`canvas-${name}`);
      canvas.width = welcome.width;
      canvas.height = welcome.height;
      canvas.classList.toggle("crisp", Math.max(welcome.width, welcome.height) <= CRISP_PIXELS);
    }
    find("pictures").classList.toggle("two", welcome.truth);
    document.title = `${welcome.world} · Armillary`;
    find<HTMLAnchorElement>("film").href = `/film/${welcome.session}.mp4`;
    this.retell();
  }

  async draw(frame: Frame): Promise<void> {
    for (const [name, blob] of frame.pictures) {
      const canvas = find<HTMLCanvasElement>(`canvas-${name}`);
      const bitmap = await createImageBitmap(blob);
      canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      bitmap.close();
    }
    this.about = frame.about;
    this.started ||= frame.about.step > 0;
    this.showTime();
  }

  show(status: Status): void {
    this.status = status;
    const play = find("play");
    setIcon(play, status.paused ? "play" : "pause");
    play.dataset["label"] = status.paused ? "play" : "pause";
    const record = find("record");
    record.setAttribute("aria-pressed", String(status.recording));
    record.dataset["label"] = status.recording ? "stopRecord" : "record";
    for (const button of [play, record]) {
      const words = say(button.dataset["label"] === "play" ? "play" : (button.dataset["label"] as "pause"));
      button.setAttribute("aria-label", words);
      button.title = words;
    }
    const seed = find<HTMLInputElement>("seed");
    if (document.activeElement !== seed) seed.value = String(status.seed);
    this.started ||= !status.paused;
    this.showBookmarks(status);
    this.showTime();
  }

  /** Milliseconds from an action to the picture that it led to. */
  addLatency(milliseconds: number): void {
    this.latencies.push(milliseconds);
    if (this.latencies.length > SPARK_POINTS) this.latencies.shift();
    find("meter-latency").textContent = `${Math.round(milliseconds)} ms`;
    this.drawSpark();
  }

  /** Say again what was said, after the language or the colours changed. */
  retell(): void {
    const { welcome } = this;
    if (welcome === null) return;
    find("world-name").textContent = welcome.world;
    find("world-kind").textContent = say(welcome.exact ? "simulator" : "model");
    find("world-kind").hidden = false;
    find("caption-world").textContent = welcome.truth ? say("model") : "";
    find("task").textContent = welcome.task;
    if (this.status !== null) this.show(this.status);
    this.drawSpark();
  }

  private showTime(): void {
    const { about, status } = this;
    if (about === null) return;
    const timeline = find<HTMLInputElement>("timeline");
    timeline.min = String(about.first);
    timeline.max = String(about.last);
    timeline.value = String(about.step);
    timeline.setAttribute("aria-valuetext", `${about.seconds.toFixed(1)} s, ${say("step")} ${about.step}`);
    const recorded = about.recorded === null ? "" : ` · ${say("recording")} ${about.recorded}`;
    find("time").textContent = `${about.seconds.toFixed(1)} s · ${say("step")} ${about.step}${recorded}`;
    find("error").textContent = about.error_db === null ? "" : errorWords(about.error_db);
    find("meter-fps").textContent = status?.paused || about.fps === 0 ? "–" : about.fps.toFixed(1);
    find("meter-step").textContent = about.step_ms === 0 ? "–" : `${about.step_ms.toFixed(1)} ms`;
    find("meter-people").textContent = String(about.people);
    find("film").toggleAttribute("aria-disabled", about.last === about.first);
    const overlay = find("overlay");
    overlay.textContent = this.overlay(about, status);
    overlay.hidden = overlay.textContent === "";
  }

  private overlay(about: About, status: Status | null): string {
    if (status?.problem) return say("problem") + status.problem;
    if (about.ended) return say("ended");
    return this.started ? "" : say("begin");
  }

  private showBookmarks(status: Status): void {
    const list = find("bookmarks");
    for (const number of this.thumbnails.keys()) {
      if (!status.bookmarks.some((one) => one.number === number)) this.thumbnails.delete(number);
    }
    list.replaceChildren(...status.bookmarks.map(({ number, step }) => this.bookmark(number, step)));
    find("no-bookmarks").hidden = status.bookmarks.length > 0;
  }

  private bookmark(number: number, step: number): HTMLLIElement {
    const item = document.createElement("li");
    const go = document.createElement("button");
    go.type = "button";
    go.className = "go";
    go.setAttribute("aria-label", `${say("branch")} ${number}, ${say("step")} ${step}`);
    const words = document.createElement("span");
    words.textContent = `${number} · ${say("step")} ${step}`;
    go.append(this.thumbnail(number), words);
    go.addEventListener("click", () => this.onBranch(number));
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "quiet";
    remove.setAttribute("aria-label", `${say("remove")} ${number}`);
    remove.title = say("remove");
    setIcon(remove, "remove");
    remove.addEventListener("click", () => this.onForget(number));
    item.append(go, remove);
    return item;
  }

  /** The picture of now, when a bookmark is new. */
  private thumbnail(number: number): HTMLCanvasElement {
    const known = this.thumbnails.get(number);
    if (known !== undefined) return known;
    const world = find<HTMLCanvasElement>("canvas-world");
    const small = document.createElement("canvas");
    small.width = world.width;
    small.height = world.height;
    small.getContext("2d")?.drawImage(world, 0, 0);
    small.setAttribute("aria-hidden", "true");
    this.thumbnails.set(number, small);
    return small;
  }

  private drawSpark(): void {
    const canvas = find<HTMLCanvasElement>("spark");
    const brush = canvas.getContext("2d");
    if (brush === null) return;
    const style = getComputedStyle(document.documentElement);
    const most = Math.max(SPARK_LEAST_MS, ...this.latencies);
    const x = (index: number): number => (index * canvas.width) / (SPARK_POINTS - 1);
    const y = (value: number): number => canvas.height - 3 - (value / most) * (canvas.height - 8);
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.strokeStyle = style.getPropertyValue("--line");
    brush.strokeRect(0.5, 0.5, canvas.width - 1, canvas.height - 1);
    brush.strokeStyle = style.getPropertyValue("--accent");
    brush.lineWidth = 1.5;
    brush.beginPath();
    this.latencies.forEach((value, index) => (index === 0 ? brush.moveTo(x(index), y(value)) : brush.lineTo(x(index), y(value))));
    brush.stroke();
  }
}

/** How far the two pictures are apart: the root of the mean squared error as a share of the whole range, and the same as PSNR. */
function errorWords(psnr: number): string {
  return `${say("error")} ${(100 * 10 ** (-psnr / 20)).toFixed(1)} % · ${psnr.toFixed(1)} dB`;
}
