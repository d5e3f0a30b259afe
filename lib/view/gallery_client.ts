/**
 * @module view/gallery_client: the script of a gallery. It runs in a browser: its text is put into
 * the page, so it uses nothing from outside of itself. Texts of anybody become text nodes, never
 * markup.
 */
// deno-lint-ignore-file no-explicit-any -- what a browser has is not typed here

/** The script, as text. */
export function galleryScript(): string {
  return `(${client})();`;
}

/** Everything that the page does. */
function client(): void {
  const window = globalThis as any;
  const document = window.document;
  const $ = (id: string) => document.getElementById(id);
  const served = document.body.dataset.mode === "served";
  const embedded = served ? null : JSON.parse($("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  /** Lower bounds of the bands of confidence, and how words of each look. */
  const BANDS: [number, string][] = [[0.9, "c4"], [0.8, "c3"], [0.7, "c2"], [0.5, "c1"], [0, "c0"]];
  const LOW = 0.8;

  let list: any = { pages: [], dataset: "", matching: 0, total: 0 };
  let marks = new Map<number, any>();
  let at = -1; // in the list; -1 for a page that isn't in it
  let page: any = null;
  let placed: any = null;
  let selected = -1;
  let zoom: number | "page" | "width" = "page";
  let below = 1;
  let asked = 0;
  let ahead: { row: number; page: Promise<any> } | null = null;
  let items: any[] = [];
  let shapes: any[] = [];
  /** Pages with changes that are not kept yet, by row: paging on must not lose them. */
  const drafts = new Map<number, any>();
  /** A box that is being drawn, or whose text is asked for. */
  let drawn: any = null;

  const make = (name: string, props: any = {}, ...children: any[]) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(props)) {
      if (key === "class") element.className = value;
      else if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const band = (confidence: number | null) =>
    confidence === null ? "cx" : (BANDS.find(([from]) => confidence >= from) ?? BANDS[4])[1];
  const figure = (confidence: number | null) =>
    confidence === null ? "–" : (Math.floor(confidence * 100 + 1e-9) / 100).toFixed(2);
  const visible = (i: number) => {
    const confidence = page.confidences[i];
    return below >= 1 || confidence === null || confidence < below;
  };

  async function getPage(row: number): Promise<any> {
    if (!served) {
      const found = embedded.pages.find((each: any) => each.row === row);
      if (!found) throw new Error("this page is not in this file");
      return withEdits(found);
    }
    if (drafts.has(row)) return drafts.get(row);
    const kept = ahead?.row === row ? ahead.page : null;
    ahead = null;
    const found = await kept?.catch(() => null);
    if (found) return found;
    const response = await window.fetch(`page/${row}.json`);
    const body = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(body.problem ?? `the gallery answers ${response.status}`);
    return withEdits(body);
  }

  /**
   * Puts what was put right into a page; words that were added stand behind those that were read.
   */
  function withEdits(found: any) {
    if (found.read) return found;
    found.read = [...found.texts];
    found.removed = new Set();
    found.corners = new Map();
    if (!found.checked) return found;
    const { texts, removed, moved, added } = found.checked.edits;
    for (const [i, text] of texts) found.texts[i] = text;
    for (const i of removed) found.removed.add(i);
    for (const [i, polygon] of moved) putBox(found, i, polygon);
    for (const { polygon, text } of added) addWord(found, polygon, text);
    return found;
  }

  /** Adds a word. @param polygon Its corners in the API's pixels. */
  function addWord(to: any, polygon: number[][], text: string) {
    to.texts.push(text);
    to.confidences.push(null);
    putBox(to, to.texts.length - 1, polygon);
    return to.texts.length - 1;
  }

  /** Whether another engine has read a word otherwise. */
  const differs = (i: number) => (page.agreement?.words[i] ?? 1) < 1;

  /** What it has read there. */
  function apart(i: number): any[] {
    if (!differs(i)) return [];
    const other = page.agreement.others[i];
    const said = other === null ? make("i", {}, "nothing") : make("bdi", {}, other);
    const title = `The other engine; agreement ${figure(page.agreement.words[i])}`;
    return [make("small", { class: "other", title }, "≠ ", said)];
  }

  /** Puts the box of a word where its corners lie in the API's pixels, either way it is shown. */
  function putBox(of: any, i: number, polygon: number[][]) {
    of.corners.set(i, polygon);
    for (const frame of [of.placed, of.otherwise]) {
      if (!frame) continue;
      const [a, b, c, d, e, f] = frame.map;
      frame.boxes[i] = polygon.flatMap(([x, y]) => [a * x + b * y + c, d * x + e * y + f]);
    }
  }

  /** Corners as they are shown, in the API's pixels: pictures are only turned and mirrored. */
  function asRead(frame: any, points: number[][]): number[][] {
    const [a, b, c, d, e, f] = frame.map;
    return points.map(([x, y]) =>
      [a * (x - c) + d * (y - f), b * (x - c) + e * (y - f)].map(tenths)
    );
  }

  const tenths = (value: number) => Math.round(value * 10) / 10;

  /** How a word differs from what was read. */
  function change(i: number): string {
    if (page.removed.has(i)) return "removed";
    return page.texts[i] === page.read[i] && !page.corners.has(i) ? "" : "edited";
  }

  async function go(row: number, index = list.pages.findIndex((each: any) => each.row === row)) {
    const turn = ++asked;
    at = index;
    const hash = `#row=${row}`;
    if (window.location.hash !== hash) window.history.replaceState(null, "", hash);
    let got: any;
    document.body.classList.add("loading");
    try {
      got = await getPage(row);
    } catch (error: any) {
      if (turn !== asked) return;
      got = null;
      const gone = error instanceof TypeError;
      say(
        [gone ? "The gallery has ended: start it again." : `Row ${row}: ${error.message}.`],
        true,
      );
    }
    if (turn !== asked) return;
    document.body.classList.remove("loading");
    page = got;
    show();
    const next = list.pages[at + 1];
    if (served && at >= 0 && next && page) fetchAhead(next.row);
  }

  /** The next page is at hand when it is asked for. */
  function fetchAhead(row: number) {
    const promise = getPage(row);
    ahead = { row, page: promise };
    promise.then((got) => {
      if (got.picture) new window.Image().src = `image/${row}`;
    }, () => {});
  }

  function show() {
    selected = -1;
    grip = -1;
    pull = null;
    $("boxes").replaceChildren();
    $("wordlist").replaceChildren();
    items = [];
    shapes = [];
    const total = list.pages.length;
    $("where").textContent = at >= 0 ? `${at + 1} of ${total}` : page ? `row ${page.row}` : "";
    $("prev").disabled = at === 0 || total === 0;
    $("next").disabled = at === total - 1 || total === 0;
    for (const [i, item] of [...$("pagelist").children].entries()) {
      item.classList.toggle("here", i === at);
      if (i === at) item.scrollIntoView({ block: "nearest" });
    }
    $("sheet").hidden = !page || !page.picture && page.texts.length === 0;
    $("mark").disabled = !page || !served;
    $("check").disabled = !page || !served || page.status === "failed";
    $("checkline").hidden = true;
    if (typeof zoom === "number") zoom = "page";
    if (!page) return;
    document.title = `${page.id} – ${list.dataset}`;
    $("name").textContent = page.id;
    $("name").title = `row ${page.row}\n${page.imagePath}`;
    $("status").textContent = page.status === "failed" ? `failed: ${page.code}` : page.status;
    $("status").className = `badge ${page.status}`;
    const facts = [
      page.confidence === null ? "" : `page ${figure(page.confidence)}`,
      `${page.texts.length.toLocaleString("en")} word${page.texts.length === 1 ? "" : "s"}`,
      page.attempts > 1 ? `${page.attempts} requests` : "",
      page.agreement ? `agreement ${figure(page.agreement.page)}` : "",
      page.agreement?.onlyOther ? `the other engine has ${page.agreement.onlyOther} more` : "",
    ];
    $("facts").textContent = facts.filter(Boolean).join(" · ");
    const reasons = list.pages[at]?.reasons?.length ? list.pages[at].reasons : page.reasons;
    $("reasons").textContent = page.status === "ok" ? reasons.join("; ") : "";
    drawWords();
    draw(page.placed);
    const notes = [...page.notes];
    if (page.status === "failed") notes.unshift(`This page was not read: ${page.message}`);
    if (page.status === "empty") notes.unshift("The page was read; no words were found on it.");
    say(notes, page.status === "failed");
    const img = $("img");
    img.hidden = !page.picture;
    img.onerror = () => {
      img.hidden = true;
      say([...notes, "This browser can't show the picture."], false);
    };
    if (page.picture) img.src = served ? `image/${page.row}` : page.data;
    else img.removeAttribute("src");
    $("sheet").classList.toggle("blank", !page.picture);
    showMark();
    showCheck();
    fit();
    $("stage").scrollTo(0, 0);
  }

  function draw(frame: any) {
    placed = frame;
    const svg = $("boxes");
    svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    const drawn = document.createDocumentFragment();
    shapes = frame.boxes.map((points: number[], i: number) => {
      const shape = document.createElementNS(SVG, "polygon");
      const pairs: string[] = [];
      for (let n = 0; n + 1 < points.length; n += 2) pairs.push(`${points[n]},${points[n + 1]}`);
      shape.setAttribute("points", pairs.join(" "));
      shape.setAttribute("class", `${band(page.confidences[i])} ${change(i)}`);
      shape.dataset.i = i;
      drawn.append(shape);
      return shape;
    });
    svg.replaceChildren(drawn);
    filter();
    if (selected >= 0) shapes[selected]?.classList.add("sel");
    drawGrips();
  }

  function drawWords() {
    const drawn = document.createDocumentFragment();
    const order = page.texts.map((_: string, i: number) => i);
    const rank = (i: number) => page.confidences[i] ?? 2;
    if ($("sort").checked) order.sort((a: number, b: number) => rank(a) - rank(b) || a - b);
    items = [];
    for (const i of order) {
      const confidence = page.confidences[i];
      const item = make(
        "li",
        { class: change(i) },
        make("span", { class: `conf ${band(confidence)}` }, figure(confidence)),
        make("bdi", {}, page.texts[i]),
        ...apart(i),
      );
      item.dataset.i = i;
      items[i] = item;
      drawn.append(item);
    }
    $("wordlist").replaceChildren(drawn);
  }

  function filter() {
    let shown = 0;
    for (let i = 0; i < page.texts.length; i++) {
      const on = visible(i);
      if (on) shown++;
      items[i].hidden = !on;
      shapes[i]?.classList.toggle("off", !on);
    }
    const all = page.texts.length;
    $("count").textContent = shown === all
      ? `${all.toLocaleString("en")} word${all === 1 ? "" : "s"}`
      : `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} words`;
  }

  function say(lines: string[], bad: boolean) {
    $("notice").replaceChildren(...lines.map((line) => make("p", {}, make("bdi", {}, line))));
    $("notice").className = bad ? "bad" : "";
    $("notice").hidden = lines.length === 0;
  }

  function select(i: number, from: "list" | "box" | "keys") {
    if (i !== selected) grip = -1;
    shapes[selected]?.classList.remove("sel");
    items[selected]?.classList.remove("sel");
    selected = i;
    drawGrips();
    if (i < 0) return;
    shapes[i]?.classList.add("sel");
    if (shapes[i]) $("boxes").append(shapes[i]); // above its neighbours
    drawGrips();
    items[i]?.classList.add("sel");
    if (from !== "list") items[i]?.scrollIntoView({ block: "nearest" });
    if (from !== "box") reveal(i);
  }

  /** Scrolls the picture so that a box is seen. */
  function reveal(i: number) {
    const box = shapes[i]?.getBoundingClientRect();
    if (!box) return;
    const stage = $("stage");
    const view = stage.getBoundingClientRect();
    const room = 24;
    let [dx, dy] = [0, 0];
    if (box.left < view.left + room || box.right > view.right - room) {
      dx = (box.left + box.right) / 2 - (view.left + view.right) / 2;
    }
    if (box.top < view.top + room || box.bottom > view.bottom - room) {
      dy = (box.top + box.bottom) / 2 - (view.top + view.bottom) / 2;
    }
    stage.scrollBy(dx, dy);
  }

  /** To the next or the last word of those that are shown and wanted. */
  function step(by: number, wanted: (i: number) => boolean = () => true) {
    const order = [...$("wordlist").children].map((item: any) => Number(item.dataset.i));
    let place = order.indexOf(selected);
    if (place < 0 && by < 0) place = 0;
    for (let n = 0; n < order.length; n++) {
      place = (place + by + order.length) % order.length;
      const i = order[place];
      if (visible(i) && wanted(i)) return select(i, "keys");
    }
  }

  const doubtful = (i: number) => page.confidences[i] !== null && page.confidences[i] < LOW;

  function fit() {
    if (!placed) return;
    const stage = $("stage");
    const style = window.getComputedStyle(stage);
    const width = stage.clientWidth - 2 * parseFloat(style.paddingLeft);
    const height = stage.clientHeight - 2 * parseFloat(style.paddingTop);
    const whole = Math.min(width, height * placed.width / placed.height);
    const wanted = zoom === "page" ? whole : zoom === "width" ? width : whole * zoom;
    $("sheet").style.width = `${Math.max(40, wanted)}px`;
    $("sheet").style.aspectRatio = `${placed.width} / ${placed.height}`;
    drawGrips();
    $("zoomed").textContent = `${Math.round(100 * wanted / placed.width)} %`;
  }

  /** Zooms about a point of the stage, by default its middle. */
  function zoomBy(factor: number, x?: number, y?: number) {
    if (!placed) return;
    const stage = $("stage");
    const sheet = $("sheet");
    const view = stage.getBoundingClientRect();
    const px = x ?? view.left + stage.clientWidth / 2;
    const py = y ?? view.top + stage.clientHeight / 2;
    const before = sheet.getBoundingClientRect();
    const [u, v] = [(px - before.left) / before.width, (py - before.top) / before.height];
    const whole = Math.min(
      stage.clientWidth,
      stage.clientHeight * placed.width / placed.height,
    );
    zoom = Math.min(40, Math.max(0.3, before.width / whole * factor));
    fit();
    const after = sheet.getBoundingClientRect();
    stage.scrollBy(after.left + u * after.width - px, after.top + v * after.height - py);
  }

  function showMark() {
    const mark = page.mark ?? null;
    $("mark").textContent = mark ? "Marked wrong" : "Mark wrong";
    $("mark").classList.toggle("on", mark !== null);
    $("marked").hidden = mark === null;
    $("marked").textContent = mark
      ? `Marked wrong${mark.note ? `: ${mark.note}` : ""} (${mark.by})`
      : "";
    if (at >= 0) $("pagelist").children[at]?.classList.toggle("marked", mark !== null);
  }

  function openMark() {
    if (!page || !served) return;
    $("note").value = page.mark?.note ?? "";
    $("unmark").hidden = !page.mark;
    $("markproblem").textContent = "";
    $("markdialog").returnValue = "";
    $("markdialog").showModal();
    $("note").focus();
  }

  async function sendMark(wrong: boolean) {
    const of = page;
    $("save").disabled = true;
    try {
      const response = await window.fetch(`marks/${of.row}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ wrong, note: $("note").value }),
      });
      const body = await response.json().catch(() => ({}));
      if (!response.ok) throw new Error(body.problem ?? `the gallery answers ${response.status}`);
      of.mark = body.mark;
      if (body.mark) marks.set(of.row, body.mark);
      else marks.delete(of.row);
      $("markdialog").close();
      if (page === of) showMark();
    } catch (error: any) {
      const gone = error instanceof TypeError;
      $("markproblem").textContent = gone
        ? "Not stored: the gallery has ended."
        : `Not stored: ${error.message}`;
    } finally {
      $("save").disabled = false;
    }
  }

  function showCheck(problem = "") {
    const { checked, dirty, texts, read, removed } = page;
    const words = texts.map((_: string, i: number) => change(i));
    const count = (n: number, what: string) => n > 0 ? [`${n} ${what}`] : [];
    const counts = [
      ...count(
        words.filter((kind: string, i: number) =>
          kind === "edited" && i < read.length && texts[i] !== read[i]
        ).length,
        "put right",
      ),
      ...count(
        [...page.corners.keys()].filter((i: any) => i < read.length && !removed.has(i)).length,
        "moved",
      ),
      ...count([...removed].filter((i: any) => i < read.length).length, "taken away"),
      ...count(
        words.filter((kind: string, i: number) => kind === "edited" && i >= read.length).length,
        "added",
      ),
    ].join(", ") || "nothing to put right";
    const line = $("checkline");
    line.hidden = !checked && !dirty && !problem;
    line.className = problem ? "bad" : dirty ? "open" : "";
    line.firstElementChild.textContent = problem ||
      (dirty
        ? `Not kept yet: ${counts}. c keeps the page as checked.`
        : checked
        ? `Checked by ${checked.by}: ${counts}`
        : "");
    $("uncheck").hidden = !checked && !dirty;
    $("check").classList.toggle("on", Boolean(checked) && !dirty);
    $("check").textContent = checked && !dirty ? "Checked" : "Check";
    if (at >= 0) $("pagelist").children[at]?.classList.toggle("checked", Boolean(checked));
  }

  function changed() {
    page.dirty = true;
    drafts.set(page.row, page);
    const kept = selected;
    drawWords();
    draw(placed);
    if (kept >= 0) select(kept, "box");
    showCheck();
  }

  const canEdit = () => served && page && page.status !== "failed";

  /** Asks what is written in a box: that of a word, or one that was just drawn. */
  function openWord(i: number) {
    if (!canEdit() || i < 0 && !drawn) return;
    $("wordtext").value = i < 0 ? "" : page.texts[i];
    $("wordtext").dataset.i = i;
    $("noword").hidden = i < 0;
    $("worddialog").showModal();
    $("wordtext").select();
  }

  function keepWord(text: string) {
    let i = Number($("wordtext").dataset.i);
    if (i < 0 && text && drawn) {
      const [x1, y1, x2, y2] = drawn.box;
      i = addWord(page, asRead(placed, [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]), text);
      selected = i;
    } else if (i >= 0 && text) {
      page.texts[i] = text;
      page.removed.delete(i);
    } else if (i >= 0) page.removed.add(i);
    $("worddialog").close();
    $("stage").focus();
    changed();
  }

  function removeWord() {
    if (!canEdit() || selected < 0) return;
    if (!page.removed.delete(selected)) page.removed.add(selected);
    changed();
  }

  function beginBox() {
    if (!canEdit()) return;
    endGrip();
    document.body.classList.toggle("adding");
  }

  /** The corner of the selected word that is being moved; 4 for all of them, -1 for none. */
  let grip = -1;
  /** Where a corner or a box is being dragged from, and where its corners were. */
  let pull: any = null;

  /** Corners of the selected word as they are shown. */
  function cornersOf(i: number): number[][] {
    const box = placed.boxes[i];
    return [0, 2, 4, 6].map((n) => [box[n], box[n + 1]]);
  }

  /** Takes hold of the selected word's next corner, after the last one of all of it. */
  function gripNext() {
    if (!canEdit() || selected < 0 || page.removed.has(selected)) return;
    if (placed.boxes[selected].length !== 8) return;
    grip = (grip + 1) % 5;
    drawGrips();
  }

  function endGrip() {
    grip = -1;
    pull = null;
    drawGrips();
  }

  /** Four circles, of one size however large the page is shown. */
  function drawGrips() {
    document.body.classList.toggle("gripping", grip >= 0);
    $("boxes").querySelectorAll(".grip").forEach((each: any) => each.remove());
    if (grip < 0 || selected < 0) return;
    const sheet = $("sheet").getBoundingClientRect();
    cornersOf(selected).forEach(([x, y], n) => {
      const circle = document.createElementNS(SVG, "ellipse");
      for (
        const [name, value] of Object.entries({
          cx: x,
          cy: y,
          rx: 7 * placed.width / sheet.width,
          ry: 7 * placed.height / sheet.height,
          class: `grip${grip === n || grip === 4 ? " on" : ""}`,
        })
      ) circle.setAttribute(name, value);
      circle.dataset.corner = n;
      $("boxes").append(circle);
    });
  }

  /** Moves what is held, within the page. */
  function moveGrip(from: number[][], dx: number, dy: number) {
    const inside = (value: number, most: number) => Math.min(most, Math.max(0, value));
    const points = from.map(([x, y], n) =>
      n === grip || grip === 4
        ? [inside(x + dx, placed.width), inside(y + dy, placed.height)]
        : [x, y]
    );
    // A box without area is none.
    const twice = points.reduce((sum, [x, y], n) => {
      const [nextX, nextY] = points[(n + 1) % 4];
      return sum + x * nextY - nextX * y;
    }, 0);
    if (Math.abs(twice) < 2) return;
    putBox(page, selected, asRead(placed, points));
    // What is drawn of the other words stays: there may be thousands.
    shapes[selected].setAttribute("points", points.map((point) => point.join(",")).join(" "));
    for (const each of [shapes[selected], items[selected]]) each.classList.add("edited");
    page.dirty = true;
    drafts.set(page.row, page);
    drawGrips();
    showCheck();
  }

  function pointOf(event: any): number[] {
    const sheet = $("sheet").getBoundingClientRect();
    const part = (value: number) => Math.min(1, Math.max(0, value));
    return [
      Math.round(placed.width * part((event.clientX - sheet.left) / sheet.width) * 10) / 10,
      Math.round(placed.height * part((event.clientY - sheet.top) / sheet.height) * 10) / 10,
    ];
  }

  function drawBox(event: any) {
    const [x, y] = pointOf(event);
    const { from, shape } = drawn;
    const box = [
      Math.min(from[0], x),
      Math.min(from[1], y),
      Math.max(from[0], x),
      Math.max(from[1], y),
    ];
    drawn.box = box;
    const [x1, y1, x2, y2] = box;
    shape.setAttribute("points", `${x1},${y1} ${x2},${y1} ${x2},${y2} ${x1},${y2}`);
  }

  function endBox() {
    document.body.classList.remove("adding");
    const [x1, y1, x2, y2] = drawn.box ?? [0, 0, 0, 0];
    if (x2 - x1 >= 2 && y2 - y1 >= 2) return openWord(-1);
    forgetBox();
  }

  function forgetBox() {
    drawn?.shape.remove();
    drawn = null;
  }

  async function sendCheck(keep: boolean) {
    if (!canEdit()) return;
    const of = page;
    const { texts, read, removed, corners } = of;
    const own = read.map((_: string, i: number) => i);
    const added = texts.map((_: string, i: number) => i).slice(read.length);
    const edits = {
      texts: own.filter((i: number) => !removed.has(i) && texts[i] !== read[i])
        .map((i: number) => [i, texts[i]]),
      removed: own.filter((i: number) => removed.has(i)),
      moved: own.filter((i: number) => !removed.has(i) && corners.has(i))
        .map((i: number) => [i, corners.get(i)]),
      added: added.filter((i: number) => !removed.has(i))
        .map((i: number) => ({ polygon: corners.get(i), text: texts[i] })),
    };
    try {
      const response = await window.fetch(`checked/${of.row}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ edits: keep ? edits : null }),
      });
      const body = await response.json().catch(() => ({}));
      if (!response.ok) throw new Error(body.problem ?? `the gallery answers ${response.status}`);
      of.checked = body.checked;
      of.dirty = false;
      drafts.delete(of.row);
      ahead = null;
      if (!keep && page === of) return await go(of.row, at); // as it was read
      if (page === of) showCheck();
    } catch (error: any) {
      const why = error instanceof TypeError ? "the gallery has ended" : error.message;
      if (page === of) showCheck(`Not kept: ${why}.`);
    }
  }

  function turn(by: number) {
    const index = at < 0 ? 0 : at + by;
    const next = list.pages[index];
    if (next) go(next.row, index);
  }

  function listPages() {
    const drawn = document.createDocumentFragment();
    list.pages.forEach((each: any, i: number) => {
      const facts = each.status === "failed"
        ? each.reasons[0] ?? "failed"
        : `${each.words} word${each.words === 1 ? "" : "s"} · ${figure(each.confidence)}`;
      const item = make(
        "li",
        { class: each.status + (marks.has(each.row) ? " marked" : "") },
        make(
          "button",
          { type: "button" },
          make("bdi", { class: "id" }, each.id),
          make("small", {}, facts),
          ...each.status === "ok" && each.reasons.length
            ? [make("small", { class: "why" }, each.reasons[0])]
            : [],
        ),
      );
      item.dataset.i = i;
      drawn.append(item);
    });
    $("pagelist").replaceChildren(drawn);
    const all = list.matching > list.pages.length
      ? ` of ${list.matching.toLocaleString("en")}`
      : "";
    $("picked").textContent = `${list.pages.length.toLocaleString("en")}${all} page${
      list.matching === 1 ? "" : "s"
    }, ${list.order}`;
  }

  const indexOf = (event: any) => {
    const found = event.target.closest?.("[data-i]");
    return found ? Number(found.dataset.i) : -1;
  };

  /** What is below the pointer lights up on both sides. */
  let lit = -1;
  function light(i: number, event?: any) {
    if (lit !== i) {
      shapes[lit]?.classList.remove("lit");
      items[lit]?.classList.remove("lit");
      lit = i;
      shapes[i]?.classList.add("lit");
      items[i]?.classList.add("lit");
    }
    const tip = $("tip");
    tip.hidden = i < 0 || !event;
    if (tip.hidden) return;
    tip.replaceChildren(
      make("bdi", {}, page.texts[i]),
      make("small", {}, ` ${figure(page.confidences[i])}`),
      ...apart(i),
    );
    const room = 12;
    const box = tip.getBoundingClientRect();
    const x = Math.min(event.clientX + room, window.innerWidth - box.width - room);
    const y = event.clientY + room + box.height < window.innerHeight
      ? event.clientY + room
      : event.clientY - room - box.height;
    tip.style.transform = `translate(${Math.max(0, x)}px, ${Math.max(0, y)}px)`;
  }

  function listen() {
    $("prev").onclick = () => turn(-1);
    $("next").onclick = () => turn(1);
    $("zoomin").onclick = () => zoomBy(1.4);
    $("zoomout").onclick = () => zoomBy(1 / 1.4);
    $("fit").onclick = () => {
      zoom = zoom === "page" ? "width" : "page";
      fit();
    };
    $("mark").onclick = openMark;
    $("toggle").onclick = () => document.body.classList.toggle("plain");
    $("pagesbutton").onclick = () => document.body.classList.toggle("pages");
    $("helpbutton").onclick = () => $("helpdialog").showModal();
    $("sort").onchange = () => {
      if (!page) return;
      drawWords();
      filter();
      items[selected]?.classList.add("sel");
    };
    $("below").oninput = () => {
      below = Number($("below").value) / 100;
      $("belowvalue").textContent = below >= 1 ? "all" : below.toFixed(2);
      if (page) filter();
    };
    $("markform").onsubmit = (event: any) => {
      event.preventDefault();
      sendMark(true);
    };
    $("unmark").onclick = () => sendMark(false);
    $("check").onclick = () => sendCheck(true);
    $("uncheck").onclick = () => sendCheck(false);
    $("wordform").onsubmit = (event: any) => {
      event.preventDefault();
      keepWord($("wordtext").value.trim());
    };
    $("noword").onclick = () => keepWord("");
    $("worddialog").onclose = forgetBox;
    $("wordlist").ondblclick = (event: any) => openWord(indexOf(event));
    window.addEventListener("beforeunload", (event: any) => {
      if (drafts.size > 0) event.preventDefault();
    });
    for (const button of document.querySelectorAll("[data-close]")) {
      button.onclick = () => button.closest("dialog").close();
    }
    $("pagelist").onclick = (event: any) => {
      const i = indexOf(event);
      if (i < 0) return;
      document.body.classList.remove("pages");
      go(list.pages[i].row, i);
    };
    $("wordlist").onclick = (event: any) => select(indexOf(event), "list");
    $("wordlist").onpointerover = (event: any) => light(indexOf(event));
    $("wordlist").onpointerleave = () => light(-1);
    $("boxes").onpointermove = (event: any) => light(indexOf(event), event);
    $("boxes").onpointerleave = () => light(-1);
    const stage = $("stage");
    let drag: any = null;
    $("sheet").onpointerdown = (event: any) => {
      const corner = event.target.dataset?.corner;
      const held = grip >= 0 && event.button === 0 &&
        (corner !== undefined || event.target === shapes[selected]);
      if (held) {
        event.preventDefault();
        event.stopPropagation();
        grip = corner === undefined ? 4 : Number(corner);
        pull = { at: pointOf(event), corners: cornersOf(selected) };
        return drawGrips();
      }
      if (!document.body.classList.contains("adding") || event.button !== 0) return;
      event.preventDefault();
      event.stopPropagation();
      const shape = document.createElementNS(SVG, "polygon");
      shape.setAttribute("class", "drawn");
      $("boxes").append(shape);
      drawn = { from: pointOf(event), box: null, shape, drawing: true };
    };
    stage.onpointerdown = (event: any) => {
      if (event.pointerType === "mouse" && event.button === 0) {
        drag = { x: event.clientX, y: event.clientY, moved: false };
      }
    };
    window.addEventListener("pointermove", (event: any) => {
      if (drawn?.drawing) return drawBox(event);
      if (pull) {
        const [x, y] = pointOf(event);
        return moveGrip(pull.corners, x - pull.at[0], y - pull.at[1]);
      }
      if (!drag) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (!drag.moved && Math.hypot(dx, dy) < 5) return;
      drag.moved = true;
      stage.classList.add("drag");
      stage.scrollBy(-dx, -dy);
      drag.x = event.clientX;
      drag.y = event.clientY;
    });
    window.addEventListener("pointerup", () => {
      if (drawn?.drawing) {
        drawn.drawing = false;
        return endBox();
      }
      if (pull) drag = { moved: true };
      pull = null;
      stage.classList.remove("drag");
      // The click that follows belongs to the drag.
      if (drag?.moved) window.setTimeout(() => drag = null, 0);
      else drag = null;
    });
    $("sheet").onclick = (event: any) => {
      if (!drag?.moved) select(indexOf(event), "box");
    };
    stage.addEventListener("wheel", (event: any) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
    }, { passive: false });
    new window.ResizeObserver(() => fit()).observe(stage);
    window.addEventListener("hashchange", () => {
      const row = rowOfHash();
      if (row !== undefined && row !== page?.row) go(row);
    });
    window.addEventListener("keydown", (event: any) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("dialog[open]")) return;
      if (grip >= 0 && event.key in STEPS) {
        const [dx, dy] = STEPS[event.key];
        const by = event.shiftKey ? 10 : 1;
        event.preventDefault();
        return moveGrip(cornersOf(selected), dx * by, dy * by);
      }
      const field = event.target.matches?.("input:not([type=checkbox]),textarea");
      if (field && event.key !== "Escape") return;
      const act = KEYS[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  const STEPS: Record<string, [number, number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  };

  const KEYS: Record<string, () => void> = {
    ArrowRight: () => turn(1),
    ArrowLeft: () => turn(-1),
    Home: () => list.pages[0] && go(list.pages[0].row, 0),
    End: () => list.pages.length && go(list.pages.at(-1).row, list.pages.length - 1),
    j: () => page && step(1),
    k: () => page && step(-1),
    n: () => page && step(1, doubtful),
    p: () => page && step(-1, doubtful),
    d: () => page && step(1, differs),
    D: () => page && step(-1, differs),
    m: openMark,
    c: () => page && sendCheck(true),
    e: () => selected >= 0 && openWord(selected),
    Enter: () => grip >= 0 ? endGrip() : selected >= 0 && openWord(selected),
    g: gripNext,
    x: removeWord,
    Delete: removeWord,
    a: beginBox,
    b: () => document.body.classList.toggle("plain"),
    s: () => $("sort").click(),
    "+": () => zoomBy(1.4),
    "=": () => zoomBy(1.4),
    "-": () => zoomBy(1 / 1.4),
    "0": () => {
      zoom = "page";
      fit();
    },
    w: () => {
      zoom = "width";
      fit();
    },
    o: () => {
      if (!page?.otherwise) return;
      draw(placed === page.placed ? page.otherwise : page.placed);
      fit();
    },
    "[": () => nudge(-5),
    "]": () => nudge(5),
    "?": () => $("helpdialog").showModal(),
    Escape: () => {
      if (grip >= 0) return endGrip();
      document.activeElement?.blur?.();
      document.body.classList.remove("pages", "adding");
      select(-1, "keys");
    },
  };

  function nudge(by: number) {
    $("below").value = Number($("below").value) + by;
    $("below").oninput();
  }

  const rowOfHash = (): number | undefined => {
    const found = /^#row=(\d{1,15})$/.exec(window.location.hash);
    return found ? Number(found[1]) : undefined;
  };

  async function start() {
    listen();
    try {
      list = served ? await (await window.fetch("list.json")).json() : embedded.list;
    } catch {
      return say(["The gallery has ended: start it again."], true);
    }
    marks = new Map((list.marks ?? []).map((row: number) => [row, true]));
    $("dataset").textContent = list.dataset;
    if (!served) $("mark").hidden = $("check").hidden = true;
    $("reportlink").hidden = !list.report;
    if (list.below !== null && list.below !== undefined) nudge(Math.round(list.below * 100) - 100);
    listPages();
    const row = rowOfHash();
    if (row !== undefined) await go(row);
    else if (list.pages.length > 0) await go(list.pages[0].row, 0);
    else {
      $("sheet").hidden = true;
      say(["No page fits the filters."], false);
    }
    $("stage").focus();
  }
  start();
}
