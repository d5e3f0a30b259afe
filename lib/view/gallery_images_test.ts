import assert from "node:assert/strict";
import { createCanvas, loadImage } from "@napi-rs/canvas";
import { encodePng } from "../image/png.ts";
import { slope, slopeJpeg, withOrientation } from "../../dev/testing/pictures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { Pictures, SmallPictures } from "./gallery_images.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("pictures are known by their content, and nothing that could hold a script is given out", async () => {
  const store = new MemoryStore();
  store.put("a.html", await slopeJpeg(40, 30, 6));
  store.put("b.jpg", utf8("<html><script>alert(1)</script>"));
  store.put("c.png", utf8(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`));
  store.put("d.png", encodePng(slope(4, 5)));
  store.put("e.jpg", new Uint8Array());
  store.put("f.tif", Uint8Array.from([0x49, 0x49, 42, 0, 8, 0, 0, 0, 0, 0]));
  const pictures = new Pictures({ local: store });
  const jpeg = await pictures.get("a.html");
  assert.deepEqual([jpeg.type, jpeg.stored, jpeg.orientation, jpeg.problem], [
    ...["image/jpeg", { width: 40, height: 30 }, 6, undefined],
  ]);
  assert.equal((await pictures.get("d.png")).type, "image/png");
  for (const key of ["b.jpg", "c.png", "e.jpg", "f.tif"]) {
    const { bytes, problem } = await pictures.get(key);
    assert.equal(bytes, undefined, key);
    assert.ok(problem, key);
  }
});

Deno.test("a picture that can't be had says why, and is looked for again", async () => {
  const store = new MemoryStore();
  const pictures = new Pictures({ local: store });
  assert.match((await pictures.get("x.png")).problem!, /isn't there/);
  for (const path of ["../x.png", "/etc/passwd", "s3://bucket/x.png", "file:///etc/passwd"]) {
    assert.match((await pictures.get(path)).problem!, /no place that this program can read/, path);
  }
  store.put("x.png", encodePng(slope(4, 5)));
  assert.equal((await pictures.get("x.png")).problem, undefined);
});

Deno.test("a picture is read once for its page and for itself, and old ones make room", async () => {
  const store = new MemoryStore();
  let reads = 0;
  store.before = () => void reads++;
  const large = new Uint8Array(40 << 20);
  large.set(encodePng(slope(4, 5)));
  for (const name of ["a", "b", "c"]) store.put(name, large);
  const pictures = new Pictures({ local: store });
  await Promise.all([pictures.get("a"), pictures.get("a")]);
  assert.equal(reads, 1);
  await pictures.get("b");
  await pictures.get("c");
  await pictures.get("c");
  assert.equal(reads, 3);
  await pictures.get("a"); // gave way to the other two
  assert.equal(reads, 4);
});

Deno.test("small pictures stand upright, whatever their EXIF says and their size is", async () => {
  const small = new SmallPictures();
  for (let orientation = 1; orientation <= 8; orientation++) {
    const bytes = withOrientation(await slopeJpeg(960, 400), orientation);
    const url = await small.dataUrl({ bytes, type: "image/jpeg", orientation });
    const ours = await loadImage(url!);
    const theirs = await loadImage(bytes); // turned by its EXIF
    assert.ok(ours.width <= 900 && ours.height <= 1_600);
    assert.ok(Math.abs(ours.width / ours.height - theirs.width / theirs.height) < 0.01);
    const pixels = [ours, theirs].map((image) => {
      const canvas = createCanvas(8, 8).getContext("2d");
      canvas.drawImage(image, 0, 0, 8, 8);
      return canvas.getImageData(0, 0, 8, 8).data;
    });
    pixels[0].forEach((value, i) =>
      assert.ok(Math.abs(value - pixels[1][i]) < 16, `${orientation}`)
    );
  }
  const torn = (await slopeJpeg(300, 200)).slice(0, 1_500);
  assert.match(
    (await small.dataUrl({ bytes: torn, type: "image/jpeg", orientation: 1 }))!,
    /^data:/,
  );
  const webp = utf8("RIFF....WEBP");
  assert.equal(
    await small.dataUrl({ bytes: webp, type: "image/webp", orientation: 1 }),
    `data:image/webp;base64,${btoa("RIFF....WEBP")}`,
  );
  assert.equal(await small.dataUrl({ orientation: 1, problem: "gone" }), undefined);
});
