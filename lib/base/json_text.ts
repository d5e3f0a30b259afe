/**
 * @module base/json_text: whether a text is JSON, however long it is. What `JSON.parse` makes of a
 * long one takes up to forty times its length, of which nothing would be kept.
 */

/** Texts of up to so many characters are parsed. */
const SHORT = 1 << 18;
/** Lists and objects in each other, at most; `JSON.parse` gives up some thousands later. */
const MOST_NESTED = 5_000;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORDS = ["true", "false", "null"];
const HEX = /[0-9a-fA-F]{4}/y;

/** Whether a text is JSON as `JSON.parse` takes it; one that is nested too deeply is none. */
export function isJson(text: string): boolean {
  if (text.length > SHORT) return walk(text) === text.length;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Where the JSON value that `text` begins with ends, spaces around it included; -1 if there is
 * none.
 */
export function walk(text: string): number {
  /** What closes the lists and objects that are open. */
  const open: string[] = [];
  let at = 0;
  const skipSpaces = () => {
    for (;; at++) {
      const code = text.charCodeAt(at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
    }
  };
  const key = () => {
    skipSpaces();
    at = endOfString(text, at);
    if (at < 0) return false;
    skipSpaces();
    return text[at++] === ":";
  };
  for (;;) {
    // A value.
    skipSpaces();
    const first = text[at];
    if (first === "[" || first === "{") {
      const close = first === "[" ? "]" : "}";
      at++;
      skipSpaces();
      if (text[at] !== close) {
        if (open.push(close) > MOST_NESTED || close === "}" && !key()) return -1;
        continue;
      }
      at++;
    } else if (first === '"') {
      at = endOfString(text, at);
      if (at < 0) return -1;
    } else {
      NUMBER.lastIndex = at;
      const word = WORDS.find((word) => text.startsWith(word, at));
      if (word !== undefined) at += word.length;
      else if (NUMBER.test(text)) at = NUMBER.lastIndex;
      else return -1;
    }
    // What follows it: ends of lists and objects, then another value or nothing.
    for (;;) {
      skipSpaces();
      const close = open.at(-1);
      if (close === undefined) return at;
      const next = text[at++];
      if (next === close) {
        open.pop();
        continue;
      }
      if (next !== "," || close === "}" && !key()) return -1;
      break;
    }
  }
}

/** Where the string ends that begins at `at`; -1 if there is none. */
function endOfString(text: string, at: number): number {
  if (text.charCodeAt(at) !== 34) return -1;
  for (at++; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 34) return at + 1;
    if (code < 32) return -1;
    if (code !== 92) continue;
    const escape = text[++at];
    if (escape === "u") {
      HEX.lastIndex = at + 1;
      if (!HEX.test(text)) return -1;
      at += 4;
    } else if (escape === undefined || !'"\\/bfnrt'.includes(escape)) return -1;
  }
  return -1;
}
