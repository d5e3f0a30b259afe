/**
 * @module testing/browser: a real browser without a window, by the protocol of its own developer
 * tools: Chromium, where one is installed. Tests that need it say that they are left out where not.
 */

/** Where Debian, Ubuntu, Fedora and Google put one. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The path of an installed Chromium; `undefined` where there is none. */
export function findChromium(): string | undefined {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    for (const name of NAMES) {
      try {
        if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
      } catch {
        // not there
      }
    }
  }
}

/** A tab of the browser. */
export interface Tab {
  /** Goes to an address; resolves when the page is loaded. */
  goto(url: string): Promise<void>;
  /** What an expression comes to in the page; promises are waited for. */
  // deno-lint-ignore no-explicit-any -- a page may give anything
  evaluate(expression: string): Promise<any>;
  /** Waits until an expression is true. @throws {Error} if it isn't within 10 seconds */
  until(expression: string): Promise<void>;
  /** Presses a key as a keyboard does, for example `j`, `ArrowRight`. */
  press(key: string): Promise<void>;
  /** Types a text into what has the focus. */
  type(text: string): Promise<void>;
  /** Clicks in the middle of the first element that fits. */
  click(selector: string): Promise<void>;
  /** Sets the size of the window in pixels, and whether it is dark. */
  show(width: number, height: number, scheme?: "light" | "dark"): Promise<void>;
  /** A picture of the window as PNG. @param whole Whether of the whole page. */
  screenshot(whole?: boolean): Promise<Uint8Array>;
  /** Errors and warnings that the page has caused so far, those of its policy among them. */
  readonly complaints: readonly string[];
}

/** A running browser. Dispose it to end it. */
export interface Browser extends AsyncDisposable {
  /** Opens another tab. */
  open(): Promise<Tab>;
}

const MODIFIER_FREE = 0;
const CODES: Readonly<Record<string, number>> = {
  ArrowLeft: 37,
  ArrowRight: 39,
  Enter: 13,
  Escape: 27,
  Home: 36,
  End: 35,
};

/** Starts a browser that knows nothing and keeps nothing. */
export async function startBrowser(path: string): Promise<Browser> {
  const profile = await Deno.makeTempDir({ prefix: "browser_" });
  const child = new Deno.Command(path, {
    args: [
      ...["--headless=new", "--remote-debugging-port=0", `--user-data-dir=${profile}`],
      ...["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
      ...["--disable-component-update", "--disable-sync", "--disable-extensions"],
      ...["--disable-dev-shm-usage", "--hide-scrollbars", "about:blank"],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const [address, drained] = await addressOf(child.stderr);
  const connection = await connect(address);
  return {
    async open() {
      const { targetId } = await connection.send("Target.createTarget", { url: "about:blank" });
      const { sessionId } = await connection.send("Target.attachToTarget", {
        targetId,
        flatten: true,
      });
      return await openTab(connection, sessionId);
    },
    async [Symbol.asyncDispose]() {
      await connection.send("Browser.close", {}).catch(() => {});
      await connection.close();
      const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await child.status;
      clearTimeout(late);
      await drained;
      await Deno.remove(profile, { recursive: true }).catch(() => {});
    },
  };
}

/** The address that it listens on, as it says on standard error, which is read to its end. */
async function addressOf(
  stream: ReadableStream<Uint8Array>,
): Promise<[address: string, drained: Promise<void>]> {
  const found = Promise.withResolvers<string>();
  let said = "";
  const drained = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      if (said.length < 20_000) said += decoder.decode(bytes, { stream: true });
      const address = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
      if (address) found.resolve(address);
    }
    found.reject(new Error(`the browser ended: ${said}`));
  })();
  return [await found.promise, drained];
}

/** Sends commands and hears events. */
interface Connection {
  // deno-lint-ignore no-explicit-any -- the protocol is described elsewhere
  send(method: string, params: object, sessionId?: string): Promise<any>;
  // deno-lint-ignore no-explicit-any -- likewise
  on(sessionId: string, listener: (method: string, params: any) => void): void;
  close(): Promise<void>;
}

async function connect(address: string): Promise<Connection> {
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`cannot connect to ${address}`));
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  // deno-lint-ignore no-explicit-any -- see above
  const listeners = new Map<string, (method: string, params: any) => void>();
  const closed = Promise.withResolvers<void>();
  let last = 0;
  socket.onmessage = ({ data }) => {
    const { id, result, error, method, params, sessionId } = JSON.parse(data);
    if (id === undefined) return listeners.get(sessionId)?.(method, params);
    const waiter = waiting.get(id);
    waiting.delete(id);
    if (error) waiter?.reject(new Error(error.message));
    else waiter?.resolve(result);
  };
  socket.onclose = () => {
    for (const { reject } of waiting.values()) reject(new Error("the browser is gone"));
    waiting.clear();
    closed.resolve();
  };
  return {
    async send(method, params, sessionId) {
      const id = ++last;
      const waiter = Promise.withResolvers<unknown>();
      waiting.set(id, waiter);
      socket.send(JSON.stringify({ id, method, params, sessionId }));
      return await waiter.promise;
    },
    on: (sessionId, listener) => listeners.set(sessionId, listener),
    async close() {
      socket.close();
      await closed.promise;
    },
  };
}

async function openTab(connection: Connection, sessionId: string): Promise<Tab> {
  const complaints: string[] = [];
  const send = (method: string, params: object = {}) => connection.send(method, params, sessionId);
  let loaded = Promise.withResolvers<void>();
  connection.on(sessionId, (method, params) => {
    if (method === "Page.loadEventFired") loaded.resolve();
    if (method === "Runtime.exceptionThrown") {
      complaints.push(params.exceptionDetails.exception?.description ?? "an error");
    }
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) {
      complaints.push(params.entry.text);
    }
    if (method === "Page.javascriptDialogOpening") {
      // Whoever leaves a page means it; any other dialog is one too many.
      if (params.type !== "beforeunload") complaints.push(`dialog: ${params.message}`);
      send("Page.handleJavaScriptDialog", { accept: true }).catch(() => {});
    }
  });
  await Promise.all(["Page", "Runtime", "Log"].map((domain) => send(`${domain}.enable`)));
  const evaluate = async (expression: string) => {
    const { result, exceptionDetails } = await send("Runtime.evaluate", {
      ...{ expression, awaitPromise: true, returnByValue: true },
    });
    if (!exceptionDetails) return result.value;
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  };
  return {
    complaints,
    evaluate,
    async goto(url) {
      loaded = Promise.withResolvers();
      const { errorText, loaderId } = await send("Page.navigate", { url });
      if (errorText) throw new Error(`${url}: ${errorText}`);
      if (loaderId) await loaded.promise; // without one it stays on the same page
    },
    async until(expression) {
      // In the page, frame by frame: what it waits for is what is drawn.
      const look = () =>
        evaluate(`new Promise((resolve) => {
        const end = performance.now() + 10_000;
        (function look() {
          let ok = false;
          try { ok = Boolean(${expression}); } catch {}
          if (ok || performance.now() > end) resolve(ok);
          else setTimeout(look, 10);
        })();
      })`).catch((error) => {
          // A page that is left takes its look along: the next one is looked at.
          if (/navigated/.test(String(error))) return undefined;
          throw error;
        });
      const end = performance.now() + 10_000;
      let ok = await look();
      while (ok === undefined && performance.now() < end) ok = await look();
      if (!ok) throw new Error(`it never came to be: ${expression}`);
    },
    async press(key) {
      const text = key.length === 1 ? key : key === "Enter" ? "\r" : undefined;
      const code = CODES[key] ?? key.toUpperCase().charCodeAt(0);
      const common = { key, windowsVirtualKeyCode: code, modifiers: MODIFIER_FREE };
      const type = text === undefined ? "rawKeyDown" : "keyDown";
      await send("Input.dispatchKeyEvent", { type, text, ...common });
      await send("Input.dispatchKeyEvent", { type: "keyUp", ...common });
    },
    type: async (text) => void await send("Input.insertText", { text }),
    async click(selector) {
      const [x, y] = await evaluate(`(() => {
        const box = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2];
      })()`);
      for (const type of ["mouseMoved", "mousePressed", "mouseReleased"]) {
        const button = type === "mouseMoved" ? "none" : "left";
        await send("Input.dispatchMouseEvent", { type, x, y, button, clickCount: 1 });
      }
    },
    async show(width, height, scheme = "light") {
      await send("Emulation.setDeviceMetricsOverride", {
        ...{ width, height, deviceScaleFactor: 1, mobile: width < 500 },
      });
      await send("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value: scheme }],
      });
    },
    async screenshot(whole = false) {
      const { data } = await send("Page.captureScreenshot", {
        format: "png",
        captureBeyondViewport: whole,
      });
      return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    },
  };
}
