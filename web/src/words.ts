/** What the page says, in each of its languages. */

const ENGLISH = {
  skip: "Skip to the world",
  stage: "The world",
  pictureWorld: "What is seen in the world",
  pictureTruth: "What the simulator shows under the same keys",
  transport: "Time",
  again: "Start again (R)",
  back: "One step back (comma)",
  play: "Play (space)",
  pause: "Pause (space)",
  forward: "One step forward (full stop)",
  timeline: "Moment",
  bookmark: "Bookmark this moment (B)",
  record: "Record an episode (T)",
  stopRecord: "Stop recording (T)",
  film: "Download what happened as mp4",
  steer: "Steer",
  events: "Let it happen",
  inWords: "In words",
  tell: "Tell",
  nothing: "Nothing",
  start: "Beginning",
  seed: "Seed",
  go: "Start here",
  next: "Next seed",
  bookmarks: "Bookmarks",
  noBookmarks: "Mark a moment with B, and go back to it as often as you like: each time is a branch of its own.",
  remove: "Remove bookmark",
  branch: "Branch from bookmark",
  step: "step",
  meters: "Meters",
  latency: "Key to picture",
  fps: "Frames a second",
  stepMs: "A step takes",
  people: "People in this step",
  spark: "Milliseconds from key to picture, over time",
  truth: "Simulator, the same keys",
  model: "World model",
  simulator: "Simulator",
  error: "error",
  connecting: "connecting",
  connected: "connected",
  lost: "reconnecting",
  refused: "not let in",
  bannerLost: "The connection was lost. Trying again …",
  bannerRefused: "Open the address that the terminal shows. It works once; the terminal then shows another one.",
  bannerFull: "The server did not take this page in: ",
  bannerVersion: "The server is of another version. Reload this page.",
  begin: "Press a key, or play",
  ended: "This run has ended. R starts it again.",
  problem: "The world stopped: ",
  saved: "Episode saved: ",
  recording: "recording",
  left: "Left",
  right: "Right",
  up: "Up",
  down: "Down",
  watch: "There is nothing to steer here: only to watch.",
  keysDirections: "WASD or arrows, a gamepad, or the buttons. Space plays and pauses.",
  keysChoices: "Keys 1 to 9, or the buttons. Space plays and pauses.",
  keysAxes: "Arrows or WASD move the marked sliders; [ and ] mark others. Space plays and pauses.",
  release: "Let go",
  toDark: "Dark",
  toLight: "Light",
  otherLanguage: "繁體中文",
};

export type Word = keyof typeof ENGLISH;

const CHINESE: Record<Word, string> = {
  skip: "跳到世界",
  stage: "世界",
  pictureWorld: "世界的畫面",
  pictureTruth: "同樣操作下模擬器的畫面",
  transport: "時間",
  again: "重新開始（R）",
  back: "後退一步（逗號）",
  play: "播放（空白鍵）",
  pause: "暫停（空白鍵）",
  forward: "前進一步（句號）",
  timeline: "時刻",
  bookmark: "為此刻加書籤（B）",
  record: "錄製片段（T）",
  stopRecord: "停止錄製（T）",
  film: "下載經過（mp4）",
  steer: "操控",
  events: "讓它發生",
  inWords: "用文字",
  tell: "告訴它",
  nothing: "恢復平常",
  start: "起點",
  seed: "種子",
  go: "由此開始",
  next: "下一個種子",
  bookmarks: "書籤",
  noBookmarks: "按 B 標記此刻，之後可隨時回到這裡；每次都會成為新的分支。",
  remove: "移除書籤",
  branch: "從書籤分支",
  step: "步",
  meters: "量測",
  latency: "按鍵到畫面",
  fps: "每秒畫面數",
  stepMs: "每步耗時",
  people: "同步人數",
  spark: "按鍵到畫面的毫秒數變化",
  truth: "模擬器，同樣操作",
  model: "世界模型",
  simulator: "模擬器",
  error: "誤差",
  connecting: "連線中",
  connected: "已連線",
  lost: "重新連線中",
  refused: "未獲准",
  bannerLost: "連線中斷，正在重試……",
  bannerRefused: "請開啟終端機顯示的網址。每個網址只能用一次，之後終端機會顯示新的網址。",
  bannerFull: "伺服器無法接納此頁：",
  bannerVersion: "伺服器版本不同，請重新載入此頁。",
  begin: "按任一方向鍵或播放",
  ended: "這一輪已結束，按 R 重新開始。",
  problem: "世界停住了：",
  saved: "已儲存片段：",
  recording: "錄製中",
  left: "左",
  right: "右",
  up: "上",
  down: "下",
  watch: "這裡不能操控，只能觀看。",
  keysDirections: "WASD、方向鍵、遊戲手把或按鈕。空白鍵播放與暫停。",
  keysChoices: "數字鍵 1 到 9 或按鈕。空白鍵播放與暫停。",
  keysAxes: "方向鍵或 WASD 移動標示的滑桿，[ 與 ] 換一組。空白鍵播放與暫停。",
  release: "放開",
  toDark: "深色",
  toLight: "淺色",
  otherLanguage: "English",
};

const LANGUAGES = { en: ENGLISH, "zh-Hant": CHINESE };
export type Language = keyof typeof LANGUAGES;

let language: Language = remembered() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh-Hant" : "en");

/** The words for something, in the language of now. */
export function say(word: Word): string {
  return LANGUAGES[language][word];
}

/** Say everything that is marked with `data-word` and `data-label` in the language of now. */
export function translate(): void {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll<HTMLElement>("[data-word]")) {
    element.textContent = say(element.dataset["word"] as Word);
  }
  for (const element of document.querySelectorAll<HTMLElement>("[data-label]")) {
    const words = say(element.dataset["label"] as Word);
    element.setAttribute("aria-label", words);
    if (element.matches("button, a")) element.title = words;
  }
}

/** Change to the other language. */
export function switchLanguage(): void {
  language = language === "en" ? "zh-Hant" : "en";
  localStorage.setItem("armillary-language", language);
  translate();
}

function remembered(): Language | null {
  const found = localStorage.getItem("armillary-language");
  return found === "en" || found === "zh-Hant" ? found : null;
}
